"""Loads what a recogniser consists of, and checks that the parts fit together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from espnet_peft.decode.options import SearchOptions
from espnet_peft.decode.route import RoutingTable
from espnet_peft.kaldi.layout import BASE
from espnet_peft.routing import RoutingOptions
from espnet_peft.routing.strategies import check_served

logger = logging.getLogger(__name__)


def load_recogniser(
    cls,
    base: str | Path,
    *,
    adapters: Mapping[str, str | Path],
    options: SearchOptions | None,
    device: str,
    dtype: torch.dtype,
    merge: bool,
    router,
    routing: RoutingOptions | None,
    base_languages: Sequence[str],
    max_adapters: int | None,
):
    """Work behind `Recogniser.load`; cls is the recogniser's class."""
    from espnet_peft.models import load_base

    if max_adapters is not None and max_adapters < 1:
        raise ValueError(f"--max_adapters: found {max_adapters}, expected at least 1")
    if BASE in adapters:
        raise ValueError(f"adapter name {BASE}: stands for no adapter; choose another name")
    routed = router is not None or routing is not None
    model = load_base(str(base), device=device, dtype=dtype)
    unmixable = find_unmixable(model, adapters) if len(adapters) > 1 or routed else None
    bank = None
    if adapters and unmixable is None and (len(adapters) > 1 or routed):
        from espnet_peft.adapters import AdapterBank  # costs seconds, and the base needs none

        bank = AdapterBank(model, adapters, max_adapters)
        for name in list(adapters)[:max_adapters]:
            bank.load(name)
    else:
        for name, directory in adapters.items():
            from espnet_peft.adapters import load

            load(model, directory, name=name)
    table = make_table(model, adapters, router, routing, base_languages) if routed else None
    return cls(model, options, tuple(adapters), merge, bank, table, max_adapters, unmixable or "")


def find_unmixable(model, adapters: Mapping[str, str | Path]) -> str | None:
    """Why these adapters cannot share a batch, with the name of the first that cannot."""
    if not adapters:
        return None
    from espnet_peft.adapters import AdapterBank

    for name, directory in adapters.items():
        reason = AdapterBank.refusal(model, directory)
        if reason is not None:
            logger.info("adapters are used one after the other: %s: %s", name, reason)
            return f"adapter {name} cannot share a batch: {reason}"
    return None


def make_table(
    model,
    adapters: Mapping[str, str | Path],
    router,
    routing: RoutingOptions | None,
    base_languages: Sequence[str],
) -> RoutingTable:
    """What a choice is made from; ValueError where a language has no way to be decoded."""
    languages = languages_of(adapters)
    known = model.tokenizer.languages
    unknown = [one for one in base_languages if known and one not in known]
    if unknown:
        raise ValueError(
            f"--base_languages: {', '.join(unknown)} not in the base model's tokenizer; there are"
            f" {', '.join(known)}"
        )
    if router == "token":
        from espnet_peft.routing.token_router import TokenRouter

        router = TokenRouter(model, list(dict.fromkeys([*languages, *base_languages])))
    elif isinstance(router, (str, Path)):
        from espnet_peft.routing.router import Router

        router = Router.load(router, model)
    if router is not None:
        check_served(router.languages, languages, base_languages)
        unknown = [one for one in router.languages if known and one not in known]
        if unknown:
            raise ValueError(
                f"router: language {', '.join(unknown)} not in the base model's tokenizer; there"
                f" are {', '.join(known)}; train a router on those"
            )
    return RoutingTable(router, routing or RoutingOptions(), languages, tuple(base_languages))


def languages_of(adapters: Mapping[str, str | Path]) -> dict[str, str]:
    """Language -> adapter name; an adapter's language is in its configuration or its name."""
    if not adapters:
        return {}
    from espnet_peft.adapters import read_config

    found: dict[str, str] = {}
    for name, directory in adapters.items():
        language = read_config(directory).get("language") or name
        if language in found:
            raise ValueError(
                f"{directory}: adapter {name} is for {language}, as {found[language]} is; routing"
                " wants one a language: leave one out"
            )
        found[language] = name
    return found
