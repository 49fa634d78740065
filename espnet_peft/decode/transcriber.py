"""A recogniser for recordings: of one language, or one whose router finds it out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.load import languages_of, make_table
from espnet_peft.decode.options import SearchOptions
from espnet_peft.decode.recogniser import Recogniser
from espnet_peft.decode.routed import check_usable
from espnet_peft.routing import RoutingOptions

logger = logging.getLogger(__name__)

ADAPTER_PLACES = ("adapter_config.json", "*/adapter_config.json", "*/adapter/adapter_config.json")


class Transcriber:
    """Speech in, text out: calls the recogniser in the way that its settings say.

    language: of all speech, None where a router finds it out by `strategy` or where the base
    knows no language; adapter: of all speech where there is no router.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        language: str | None = None,
        adapter: str | None = None,
        strategy: str | None = None,
    ) -> None:
        self.recogniser = recogniser
        self.language = language
        self.adapter = adapter
        self.strategy = strategy

    def __call__(self, speech: torch.Tensor, lengths: torch.Tensor) -> list[Hypothesis]:
        """Transcribe a batch: samples (B, n) at 16 kHz, padded, and lengths (B,)."""
        if self.strategy is not None:
            return self.recogniser.decode_routed(speech, lengths, self.strategy)
        count = len(lengths)
        return self.recogniser.decode_batch(
            speech, lengths, [self.language] * count, [self.adapter] * count
        )


def load_transcriber(
    base_model: str,
    adapters: Mapping[str, str],
    *,
    language: str | None = None,
    router: str | None = None,
    strategy: str = "hard",
    routing: RoutingOptions | None = None,
    base_languages: Sequence[str] = (),
    max_adapters: int | None = None,
    options: SearchOptions | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Transcriber:
    """Load a base with the adapters that are needed.

    With `language` that is the language's own adapter, merged, and the base alone where there are
    no adapters. Else the router (by default `token`) chooses for each piece, from the adapters'
    languages and `base_languages`, or without both from all that the base knows. Raises
    ValueError on languages that nothing serves and on adapters and routers of another base.
    """
    narrow = dtype != torch.float32  # merged weights would lose an adapter's small changes there
    given = dict(options=options, device=device, dtype=dtype)
    if language is not None:
        if router is not None:
            raise ValueError(
                f"--router {router}: --language {language} is given too; leave one of them out"
            )
        name = adapter_of(language, adapters, base_languages)
        used = {name: adapters[name]} if name is not None else {}
        recogniser = Recogniser.load(base_model, used, merge=not narrow, **given)
        check_language(recogniser, language)
        return Transcriber(recogniser, language, name)
    recogniser = Recogniser.load(
        base_model,
        adapters,
        routing=routing or RoutingOptions(),
        max_adapters=max_adapters,
        **given,
    )
    known = recogniser.model.tokenizer.languages
    if router is None and len(known) <= 1 and len(adapters) <= 1:
        return Transcriber(recogniser, next(iter(known), None), next(iter(adapters), None))
    if not adapters and not base_languages:
        base_languages = known
    if router is None:
        logger.warning("no --router: the base's language token chooses, poorly if not multilingual")
    recogniser.table = make_table(
        recogniser.model, adapters, router or "token", routing, base_languages
    )
    check_usable(recogniser, strategy, has_languages=False)
    return Transcriber(recogniser, strategy=strategy)


def adapter_of(
    language: str, adapters: Mapping[str, str], base_languages: Sequence[str]
) -> str | None:
    """Name of the adapter for a language; None where the base serves it."""
    if not adapters or language in base_languages:
        return None
    languages = languages_of(adapters)
    if language not in languages:
        raise ValueError(
            f"--language {language}: no adapter for it, expected one of {', '.join(languages)};"
            f' give --adapter {language}=DIR, or --base_languages "{language}" to use the bare base'
        )
    return languages[language]


def check_language(recogniser: Recogniser, language: str) -> None:
    """Raise ValueError where the base's prompts know no such language."""
    known = recogniser.model.tokenizer.languages
    if known and language not in known:
        raise ValueError(
            f"--language {language}: not in the base model's tokenizer; there are"
            f" {', '.join(known)}"
        )


def find_adapters(folder: str | Path) -> dict[str, str]:
    """Adapters in a folder, in its folders, or in an `adapter` below these, by language.

    An adapter without a language has its folder's name. Raises ValueError where there is none,
    or more than one of a name.
    """
    from espnet_peft.adapters import read_config

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, expected adapters below it")
    found: dict[str, str] = {}
    for pattern in ADAPTER_PLACES:
        for path in sorted(folder.glob(pattern)):
            place = path.parent
            own = place.parent if place.name == "adapter" else place
            name = read_config(place).get("language") or own.resolve().name
            if name in found:
                raise ValueError(
                    f"{folder}: two adapters for {name}: {found[name]} and {place}, expected one;"
                    " choose by --adapter NAME=DIR"
                )
            found[name] = str(place)
    if not found:
        raise ValueError(f"{folder}: no adapter_config.json in it or below, expected adapters")
    return found
