"""Archives of adapters: complete, the same each time, and read back."""

import json
import os
import tarfile
import zipfile

import pytest

from espnet_peft import adapters
from espnet_peft.adapters.package import pack, verify
from espnet_peft.bin.pack import main


@pytest.fixture
def place(base, tmp_path):
    adapters.inject(base, adapters.make_config("norm"))
    adapters.save(base, tmp_path / "adapter", language="hi")
    (tmp_path / "base").mkdir()
    for name, text in (
        ("config.json", json.dumps({"fingerprint": base.base_fingerprint})),
        ("tokenizer.model", "letters"),
        ("model.safetensors", "weights"),
    ):
        (tmp_path / "base" / name).write_text(text)
    return tmp_path


def names(path):
    if path.suffix == ".zip":
        return sorted(zipfile.ZipFile(path).namelist())
    return sorted(tarfile.open(path).getnames())


FILES = ("README.md", "adapter_config.json", "adapter_model.safetensors")
ADAPTER = [f"adapter/{x}" for x in FILES]


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tgz"])
def test_what_is_inside(place, ending, capsys):
    out = place / "new" / f"hi.{ending}"
    argv = ["--adapter_dir", str(place / "adapter"), "--out", str(out)]
    main(argv)
    assert names(out) == ["MANIFEST.json", *ADAPTER]
    assert "norm for hi" in capsys.readouterr().out
    main([*argv, "--base_model", str(place / "base")])
    assert names(out) == ["MANIFEST.json", *ADAPTER, "base/config.json", "base/tokenizer.model"]
    main([*argv, "--base_model", str(place / "base"), "--with_base"])
    assert "base/model.safetensors" in names(out)
    assert os.listdir(out.parent) == [out.name]


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_the_same_bytes_each_time(place, ending):
    one, other = place / f"one.{ending}", place / f"other.{ending}"
    pack(place / "adapter", one)
    for path in (place / "adapter").iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    pack(place / "adapter", other)
    assert one.read_bytes() == other.read_bytes()


def test_what_is_unpacked_loads(place, make):
    pack(place / "adapter", place / "hi.zip")
    zipfile.ZipFile(place / "hi.zip").extractall(place / "there")
    assert adapters.load(make(), place / "there" / "adapter", "hi") == "hi"


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_a_damaged_archive(place, ending):
    out = place / f"hi.{ending}"
    pack(place / "adapter", out)
    assert verify(out)["language"] == "hi"
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        verify(out)


def test_a_changed_member(place):
    out = place / "hi.zip"
    pack(place / "adapter", out)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("adapter/more", "x")
    with pytest.raises(ValueError, match="adapter/more differ"):
        verify(out)


@pytest.mark.parametrize(
    "args, said",
    [
        (("adapter", "x.rar"), "ends in .zip"),
        (("nothing", "x.zip"), "not found"),
        (("adapter", "x.zip", None, True), "add --base_model"),
        (("adapter", "x.zip", "adapter"), "expected a base made by"),
    ],
)
def test_what_cannot_be_packed(place, args, said, monkeypatch):
    monkeypatch.chdir(place)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        pack(*args)
    assert not list(place.glob("x.*"))


def test_another_base_and_a_damaged_adapter(place):
    (place / "base" / "config.json").write_text('{"fingerprint": "abc"}')
    with pytest.raises(ValueError, match="fingerprint abc, expected"):
        pack(place / "adapter", place / "x.zip", place / "base")
    (place / "adapter" / "adapter_model.safetensors").write_bytes(b"1")
    with pytest.raises(ValueError, match="damaged"):
        pack(place / "adapter", place / "x.zip")
    assert not (place / "x.zip").exists()
