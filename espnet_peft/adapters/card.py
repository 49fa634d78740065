"""The model card that lies beside an adapter."""

from __future__ import annotations

import json
from typing import Any


def render(ours: dict[str, Any]) -> str:
    """Return README.md for the block "espnet_peft" of an adapter's configuration."""
    language = ours.get("language")
    lines = ["---", "library_name: peft", "pipeline_tag: automatic-speech-recognition"]
    lines += [f"language: {json.dumps(language)}"] if language else []
    lines += ["---", "", f"# {ours['method']} adapter" + (f" for {language}" if language else "")]
    lines += [
        "",
        "An adapter for a speech recogniser, trained with espnet_peft. It works on one base only.",
        "",
        f"- method: {ours['method']}",
        f"- language: {language or 'not stated'}",
        f"- parameters: {ours['parameters']:,}",
        f"- fingerprint of the base: `{ours['base_fingerprint']}`",
    ]
    lines += [f"- {key}: {_plain(value)}" for key, value in sorted(ours["extra"].items())]
    lines += ["", "## Options", "", "```json"]
    lines += [json.dumps(ours["options"], indent=2, ensure_ascii=False), "```", ""]
    lines += [
        "## Use",
        "",
        "```python",
        "from espnet_peft import adapters",
        "from espnet_peft.models import load_base",
        "",
        'model = load_base("<the base>")',
        'adapters.load(model, "<this directory>")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
