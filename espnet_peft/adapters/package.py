"""One file to hand over: an adapter, and on request its base or the base's tokenizer.

Members: `adapter/` as saved, `base/` (all of it, or its configuration and tokenizer), and
MANIFEST.json with the size and SHA-256 of each. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet_peft.adapters.storage import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_config,
    read_weights,
)

MANIFEST = "MANIFEST.json"
ENDINGS = (".zip", ".tar.gz", ".tgz")
BASE_CONFIG, BASE_WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer*"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that a zip file can name
CHUNK = 1 << 20


def pack(
    adapter_dir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    base_dir: str | os.PathLike[str] | None = None,
    with_base: bool = False,
) -> dict[str, Any]:
    """Write the archive `out` (.zip, .tar.gz or .tgz), read it back, and return its manifest.

    base_dir: our directory of the base, whose tokenizer comes along; `with_base`: its weights too.
    Errors: `ValueError` or `FileNotFoundError` for an incomplete or damaged adapter, for a base
    that is not the adapter's, for another ending of `out`; nothing is written then.
    """
    out = Path(out)
    if not out.name.endswith(ENDINGS):
        raise ValueError(f"{out}: expected a name that ends in {', '.join(ENDINGS)}")
    if with_base and base_dir is None:
        raise ValueError("with_base: no base directory was given; add --base_model")
    adapter_dir = Path(adapter_dir)
    ours = read_config(adapter_dir)
    read_weights(adapter_dir)
    files = {f"adapter/{x}": adapter_dir / x for x in (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE)}
    if base_dir is not None:
        files |= _base_files(Path(base_dir), ours["base_fingerprint"], with_base)
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)}: not found; save the adapter again")
    manifest = {
        "method": ours["method"],
        "language": ours.get("language"),
        "base_fingerprint": ours["base_fingerprint"],
        "files": {name: _digest(path) for name, path in sorted(files.items())},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(out.name + ".tmp")
    try:
        _write(new, out.name.endswith(".zip"), files, manifest)
        verify(new)
        os.replace(new, out)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return manifest


def _base_files(dir: Path, fingerprint: str, weights: bool) -> dict[str, Path]:
    path = dir / BASE_CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found, expected a base made by prepare_base")
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("fingerprint")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: no configuration of a base: {error}") from error
    if found != fingerprint:
        raise ValueError(
            f"{path}: fingerprint {str(found)[:12]}, expected {fingerprint[:12]}; give the base "
            f"that the adapter was trained on"
        )
    found = [path, *dir.glob(TOKENIZER)] + ([dir / BASE_WEIGHTS] if weights else [])
    return {f"base/{one.name}": one for one in found}


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return _digest_stream(stream)


def _digest_stream(stream: Any) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return {"size": size, "sha256": digest.hexdigest()}


def _write(path: Path, zipped: bool, files: dict[str, Path], manifest: dict[str, Any]) -> None:
    text = (json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()
    if zipped:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_zip_info(MANIFEST), text)
            for name, source in sorted(files.items()):
                with archive.open(_zip_info(name), "w", force_zip64=True) as member:
                    with source.open("rb") as stream:
                        while chunk := stream.read(CHUNK):
                            member.write(chunk)
        return
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(_tar_info(MANIFEST, len(text)), io.BytesIO(text))
            for name, source in sorted(files.items()):
                with source.open("rb") as stream:
                    archive.addfile(_tar_info(name, source.stat().st_size), stream)


def _zip_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100644 << 16
    info.create_system = 3
    return info


def _tar_info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


def verify(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read an archive of ours to its end and return its manifest.

    Errors: `ValueError` where it is damaged, or a member is missing, changed or not listed.
    """
    try:
        found, manifest = {}, None
        for name, stream in _members(Path(path)):
            if name == MANIFEST:
                manifest = json.loads(stream.read())
            else:
                found[name] = _digest_stream(stream)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: no archive of ours, or a damaged one: {error}") from error
    if manifest is None:
        raise ValueError(f"{path}: no {MANIFEST}, expected an archive made by pack")
    wanted = manifest["files"]
    bad = sorted(x for x in found.keys() | wanted.keys() if found.get(x) != wanted.get(x))
    if bad:
        raise ValueError(f"{path}: {', '.join(bad)} differ from {MANIFEST}; pack it again")
    return manifest


def _members(path: Path) -> Iterator[tuple[str, Any]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as stream:
                    yield name, stream
        return
    with tarfile.open(path, "r:gz") as archive:
        for info in archive:
            if info.isfile():
                yield info.name, archive.extractfile(info)
