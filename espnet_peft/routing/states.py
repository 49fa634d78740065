"""States of the frozen encoder, stored once for each set as Kaldi features."""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet_peft.audio.batches import pad
from espnet_peft.kaldi import read_table, write_table
from espnet_peft.kaldi.table import write_bytes, written_to
from espnet_peft.models import Prefix, Whisper
from espnet_peft.routing.config import RouterConfig
from espnet_peft.routing.crops import crop, crop_places
from espnet_peft.routing.speech import Item, SpeechSet, batches, open_set, read_languages

INFO_FILE = "states.json"
TWO_BYTES = 3  # Kaldi's compression to 16 bits a value; the finest that it has below 32
BATCH_SECONDS = 80.0

logger = logging.getLogger(__name__)


def check_layers(model: Whisper, layers: Sequence[int], place: str) -> None:
    """Raise ValueError where the encoder has no such layer."""
    beyond = [layer for layer in layers if not 0 <= layer <= model.n_encoder_layers]
    if beyond:
        raise ValueError(
            f"{place}: layer {beyond[0]}, expected 0 to {model.n_encoder_layers}, which this"
            " base's encoder has; choose others"
        )


def encode_states(
    model: Whisper, speech: Tensor, lengths: Tensor, layers: Sequence[int]
) -> tuple[Tensor, Prefix]:
    """Residual streams (B, T', L * D) after rising `layers`, and the prefix at the last of them.

    The encoder's positions, which the stream carries along, are taken off again: what follows a
    switch of language comes later than most utterances of one language end. Frames beyond the
    prefix's `spoken` are padding.
    """
    prefix = model.encode_prefix(speech, lengths, layers[0])
    return collect_states(model, prefix, layers, model.encode_on)


def collect_states(
    model: Whisper,
    prefix: Prefix,
    layers: Sequence[int],
    advance: Callable[[Prefix, int], Prefix],
) -> tuple[Tensor, Prefix]:
    """What `encode_states` returns, from a prefix that `advance` takes from layer to layer."""
    parts = []
    for layer in layers:
        prefix = advance(prefix, layer)
        parts.append(without_positions(model, prefix))
    return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)), prefix


def without_positions(model: Whisper, prefix: Prefix) -> Tensor:
    """The residual stream (B, T', D) less the positions that were added at its start."""
    x = prefix.x[:, prefix.n_prompt :]
    return x - model.encoder.positional_embedding[: x.shape[1]].to(x.dtype)


def extract_states(
    model: Whisper,
    data_dir: str | Path,
    out_dir: str | Path,
    config: RouterConfig,
    seed: int = 0,
    keys: set[str] | None = None,
) -> tuple[int, float]:
    """Write the states of a set's utterances, and of `config.n_crops` crops of each.

    `out_dir` gets feats.ark, feats.scp (T', L * D), utt2lang, utt2num_frames and states.json,
    which names base and layers. A crop is encoded for itself and is called `<utt_id>-crop<k>`.
    Returns the number of items and the seconds of their audio.

    Raises:
        ValueError, FileNotFoundError: faults of the data; nothing is changed then.
    """
    check_layers(model, config.layers, "layers")
    data = open_set(data_dir, model.dims.n_mels, keys)
    languages = read_languages(data_dir, data.utt_ids)
    data = _limited(data, languages, config.max_per_language, seed)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    ark, scp = out_dir / "feats.ark", out_dir / "feats.scp"
    temporary = ark.with_name(ark.name + ".tmp")
    places, counts, begun, seconds = {}, {}, time.perf_counter(), 0.0
    items = _with_crops(data, config, seed)
    try:
        with written_to(ark), open(temporary, "wb") as file:
            for batch in batches(items, data.rate, BATCH_SECONDS):
                speech, lengths = pad([speech for _, speech in batch])
                with torch.no_grad():
                    states, prefix = encode_states(model, speech, lengths, config.layers)
                found = states.float().cpu().numpy()
                for (utt_id, _), row, n in zip(batch, found, prefix.spoken.tolist(), strict=True):
                    places[utt_id] = f"{ark}:{_append(file, utt_id, row[:n])}"
                    counts[utt_id] = n
                seconds += float(lengths.sum()) / data.rate
        (out_dir / INFO_FILE).unlink(missing_ok=True)  # it comes last and vouches for the rest
        scp.unlink(missing_ok=True)
        os.replace(temporary, ark)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    write_table(out_dir / "utt2num_frames", counts)
    whole = {utt_id: languages[utt_id.rpartition("-crop")[0] or utt_id] for utt_id in places}
    write_table(out_dir / "utt2lang", whole)
    write_table(scp, places)
    info = {
        "base_fingerprint": fingerprint_of(model),
        "layers": list(config.layers),
        "width": model.dims.n_audio_state,
        "n_crops": config.n_crops,
        "crop_seconds": list(config.crop_seconds),
        "seed": seed,
    }
    write_bytes(out_dir / INFO_FILE, (json.dumps(info, indent=2) + "\n").encode())
    took = time.perf_counter() - begun
    logger.info("%s: %.0f s of audio encoded in %.1f s", out_dir, seconds, took)
    return len(places), seconds


def fingerprint_of(model: Whisper) -> str:
    """Fingerprint of the model's base, as it was before any adapter."""
    return model.base_fingerprint or model.fingerprint()


def _append(file, utt_id: str, states: np.ndarray) -> int:
    """Append one matrix to an archive; returns its offset for the scp."""
    import kaldiio

    if not np.isfinite(states).all():
        raise ValueError(f"{utt_id}: the encoder gave NaN or infinity; check the base model")
    offset = file.tell() + len(utt_id.encode()) + 1
    kaldiio.save_ark(file, {utt_id: np.ascontiguousarray(states)}, compression_method=TWO_BYTES)
    return offset


def _limited(data: SpeechSet, languages: dict[str, str], limit: int | None, seed: int) -> SpeechSet:
    """Keep at most `limit` utterances of each language, chosen by the seed and their ids."""
    if limit is None:
        return data
    chosen: dict[str, list[str]] = {}
    for utt_id in sorted(data.utt_ids, key=lambda u: zlib.crc32(f"{seed} {u}".encode())):
        members = chosen.setdefault(languages[utt_id], [])
        if len(members) < limit:
            members.append(utt_id)
    keep = {utt_id for members in chosen.values() for utt_id in members}
    kept = [utt_id for utt_id in data.utt_ids if utt_id in keep]
    return SpeechSet(data.data_dir, kept, data.rate, data.n_mels)


def _with_crops(data: SpeechSet, config: RouterConfig, seed: int) -> Iterator[Item]:
    for utt_id, speech in data.read():
        yield utt_id, speech
        seconds = len(speech) / data.rate
        places = crop_places(utt_id, seconds, *config.crop_seconds, config.n_crops, seed)
        for number, (start, duration) in enumerate(places, 1):
            yield f"{utt_id}-crop{number}", crop(speech, data.rate, start, duration)


@dataclass(frozen=True)
class StateSet:
    """Stored states in memory: item k is frames[starts[k] : starts[k] + lengths[k]].

    frames: (sum of lengths, L * D) float16; labels: (N,) indices of languages.
    """

    utt_ids: list[str]
    frames: Tensor
    starts: Tensor
    lengths: Tensor
    labels: Tensor

    def gather(self, starts: Tensor, lengths: Tensor) -> Tensor:
        """Frames (B, longest, L * D) from places in `frames`; what follows an end is arbitrary."""
        span = torch.arange(int(lengths.max()))
        return self.frames[(starts[:, None] + span).clamp(max=len(self.frames) - 1)]


def read_states(
    dirs: Sequence[str | Path], languages: Sequence[str], layers: Sequence[int], fingerprint: str
) -> StateSet:
    """Read directories of `extract_states`; an id that several have counts once.

    Utterances of other languages are left out. Raises ValueError for states of another base or
    of other layers, and for a language without an item.
    """
    import kaldiio

    specs: dict[str, tuple[str, str]] = {}
    for directory in map(Path, dirs):
        _check_info(directory, layers, fingerprint)
        table = read_table(directory / "feats.scp")
        known = read_languages(directory, table)
        for utt_id, spec in table.items():
            if known[utt_id] in languages:
                specs.setdefault(utt_id, (spec, known[utt_id]))
    found = {language for _, language in specs.values()}
    missing = [language for language in languages if language not in found]
    if missing:
        raise ValueError(
            f"{' '.join(map(str, dirs))}: no utterance of {' '.join(missing)}, expected some of"
            f" each of {' '.join(languages)}; add a set with it, or leave it out of --languages"
        )
    utt_ids = sorted(specs)
    arrays = []
    for utt_id in utt_ids:
        try:
            array = np.asarray(kaldiio.load_mat(specs[utt_id][0]))
        except Exception as error:  # kaldiio raises whatever its parsers meet
            raise ValueError(
                f"{utt_id}: cannot read {specs[utt_id][0]} ({error}); extract the states again"
            ) from error
        arrays.append(torch.from_numpy(array.astype(np.float16)))
    lengths = torch.tensor([len(array) for array in arrays])
    labels = torch.tensor([list(languages).index(specs[utt_id][1]) for utt_id in utt_ids])
    return StateSet(utt_ids, torch.cat(arrays), lengths.cumsum(0) - lengths, lengths, labels)


def _check_info(directory: Path, layers: Sequence[int], fingerprint: str) -> None:
    path = directory / INFO_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected states; run extract_states")
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error}); extract the states again") from error
    if not isinstance(info, dict) or not {"base_fingerprint", "layers"} <= info.keys():
        raise ValueError(f"{path}: no base_fingerprint or layers; extract the states again")
    if info["base_fingerprint"] != fingerprint:
        raise ValueError(
            f"{path}: states of the base {info['base_fingerprint'][:12]}, expected"
            f" {fingerprint[:12]}; extract them with this base"
        )
    if info["layers"] != list(layers):
        raise ValueError(
            f"{path}: states of layers {info['layers']}, expected {list(layers)};"
            " extract them with this configuration"
        )
