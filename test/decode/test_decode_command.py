"""The decode command over a small data directory, and what it says to bad input."""

import json

import kaldiio
import numpy as np
import pytest
import torch

from espnet_peft import adapters
from espnet_peft.bin.decode import main
from espnet_peft.decode import Recogniser
from espnet_peft.kaldi import read_table, write_table
from espnet_peft.models import build_whisper, load_base, save_base
from espnet_peft.models.tokenizer import SentencePieceTokenizer, train_sentencepiece, write_model

SIZES = dict(
    n_audio_state=16,
    n_audio_head=2,
    n_audio_layer=1,
    n_text_state=16,
    n_text_head=2,
    n_text_layer=1,
    n_text_ctx=40,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A random base model's directory, with two adapters beside it."""
    folder = tmp_path_factory.mktemp("exp")
    model = train_sentencepiece(["ab cd", "ba dc"], ["hi", "pa"], "char")
    write_model(model, folder / "tokenizer")
    torch.manual_seed(0)
    model = build_whisper(SIZES, SentencePieceTokenizer(folder / "tokenizer"))
    with torch.no_grad():
        model.decoder.token_embedding.weight.mul_(4)
    save_base(model, folder / "base")
    for name in ("hi", "pa"):
        model = load_base(folder / "base")
        adapters.inject(model, adapters.make_config("lora", {"r": 2, "target": "all"}), name=name)
        with torch.no_grad():
            for tensor in adapters.trainable_state_dict(model).values():
                tensor.normal_(std=0.5)
        adapters.save(model, folder / name, name=name)
    return folder


@pytest.fixture
def data(tmp_path):
    """Seven utterances of features in two languages."""
    random = np.random.default_rng(0)
    folder = tmp_path / "test"
    folder.mkdir()
    utt_ids = [f"utt{i}" for i in range(7)]
    feats = {i: random.normal(size=(random.integers(30, 120), 80)) for i in utt_ids}
    feats = {i: array.astype(np.float32) for i, array in feats.items()}
    kaldiio.save_ark(
        str(folder / "feats.ark"), feats, scp=str(folder / "feats.scp"), compression_method=2
    )
    write_table(folder / "utt2num_frames", {i: len(array) for i, array in feats.items()})
    write_table(folder / "utt2lang", {i: "pa" if i in "utt2 utt5" else "hi" for i in utt_ids})
    return folder


def decode(base, data, out, *more):
    main(["--base_model", f"{base}/base", "--data_dir", f"{data}", "--out_dir", f"{out}", *more])
    return read_table(out / "1best_recog" / "token_int")


def test_files_order_and_adapters(base, data, tmp_path, capsys):
    write_table(tmp_path / "choice", {f"utt{i}": ["base", "hi", "pa"][i % 3] for i in range(7)})
    adapter_options = ["--adapter", f"hi={base}/hi", "--adapter", f"pa={base}/pa"]
    found = decode(
        base, data, tmp_path / "out", *adapter_options, "--utt2adapter", f"{tmp_path}/choice"
    )
    assert list(found) == [f"utt{i}" for i in range(7)]
    assert "7 utterances" in capsys.readouterr().out
    recogniser = Recogniser.load(base / "base", {"hi": base / "hi", "pa": base / "pa"})
    feats = kaldiio.load_scp(str(data / "feats.scp"))
    folder = tmp_path / "out" / "1best_recog"
    texts, scores = read_table(folder / "text"), read_table(folder / "score")
    pieces = read_table(folder / "token")
    languages = read_table(data / "utt2lang")
    for i, (utt_id, ids) in enumerate(found.items()):
        feature = torch.tensor(feats[utt_id])[None]
        result = recogniser.decode_batch(
            feature,
            torch.tensor([feature.size(1)]),
            [languages[utt_id]],
            [["base", "hi", "pa"][i % 3]],
        )[0]
        assert " ".join(map(str, result.tokens)) == ids
        assert result.text == texts[utt_id]
        assert "".join(pieces[utt_id].split()).replace("▁", " ").split() == texts[utt_id].split()
        assert float(scores[utt_id]) == pytest.approx(result.score, abs=1e-3)
    speed = json.loads((tmp_path / "out" / "speed.json").read_text())
    frames = sum(map(int, read_table(data / "utt2num_frames").values()))
    assert speed["utterances"] == 7 and speed["audio_seconds"] == pytest.approx(frames / 100)
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_split_by_key_file_gives_the_same(base, data, tmp_path):
    whole = decode(base, data, tmp_path / "whole")
    parts = {}
    for job, keys in enumerate((["utt0", "utt3", "utt6"], ["utt1", "utt2", "utt4", "utt5"])):
        write_table(tmp_path / "keys", {key: "x" for key in keys})
        out = tmp_path / f"out{job}"
        parts |= decode(base, data, out, "--key_file", f"{tmp_path}/keys")
    assert parts == whole


def test_empty_result_is_the_id_alone(base, data, tmp_path):
    (tmp_path / "conf.yaml").write_text("max_length: 1\nsuppress_blank: false\n")
    model = load_base(base / "base")
    with torch.no_grad():
        embedding = model.decoder.token_embedding.weight
        model.decoder.ln.bias.add_(9 * embedding[model.tokenizer.eot])
    save_base(model, tmp_path / "base")
    decode(tmp_path, data, tmp_path / "out", "--config", f"{tmp_path}/conf.yaml")
    lines = (tmp_path / "out/1best_recog/text").read_text().splitlines()
    assert lines == [f"utt{i}" for i in range(7)]


def test_raw_audio(base, data, tmp_path):
    import soundfile

    folder = tmp_path / "raw"
    folder.mkdir()
    table = {}
    for i in range(2):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, np.random.default_rng(i).normal(size=8000 + i) * 0.1, 8000)
        table[f"utt{i}"] = str(path)
    write_table(folder / "wav.scp", table)
    found = decode(base, folder, tmp_path / "out", "--language", "hi")
    assert list(found) == ["utt0", "utt1"]
    speed = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert speed["audio_seconds"] == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    "fault, message",
    [
        ("empty", "empty file"),
        ("no data", "neither feats.scp nor wav.scp"),
        ("no utt2lang", "utt2lang: not found; add it or give --language"),
        ("ids", "utt2lang: utt3, utt4 missing"),
        ("language", "language te, xx not in the base model's tokenizer; there are hi, pa"),
        ("nan", "utt3: .*NaN"),
        ("long", "utt1 over 30 s"),
        ("mels", "expected .T, 80."),
        ("lost", "utt[0-9]: cannot read .*: No such file"),
        ("cut", "utt[0-9]: cannot read"),
        ("offset", "utt[0-9]: cannot read .*: nothing can be read at that place"),
        ("keys", "nobody not in the data"),
        ("choice", "adapter it not given"),
        ("two", "2 adapters .hi, pa. and no choice"),
        ("gpu", "found [0-9]+ usable GPUs"),
        ("device", "expected cpu, cuda or"),
        ("threads", "expected at least 1"),
    ],
)
def test_faults(base, data, tmp_path, fault, message):
    more = []
    languages = read_table(data / "utt2lang")
    if fault == "empty":
        (data / "feats.scp").write_text("")
    elif fault == "no data":
        (data / "feats.scp").unlink()
    elif fault == "no utt2lang":
        (data / "utt2lang").unlink()
    elif fault == "ids":
        kept = {key: value for key, value in languages.items() if key not in ("utt3", "utt4")}
        write_table(data / "utt2lang", kept)
    elif fault == "language":
        write_table(data / "utt2lang", {**languages, "utt0": "te", "utt1": "xx"})
    elif fault in ("nan", "mels"):
        array = np.zeros((50, 80 if fault == "nan" else 128), dtype=np.float32)
        array[3, 4] = np.nan if fault == "nan" else 0
        kaldiio.save_ark(f"{tmp_path}/bad.ark", {"utt3": array}, scp=f"{tmp_path}/bad.scp")
        table = read_table(data / "feats.scp") | read_table(tmp_path / "bad.scp")
        write_table(data / "feats.scp", table)
    elif fault == "long":
        write_table(data / "utt2num_frames", {f"utt{i}": 3001 if i == 1 else 50 for i in range(7)})
    elif fault == "lost":
        (data / "feats.ark").unlink()
    elif fault == "cut":
        content = (data / "feats.ark").read_bytes()
        (data / "feats.ark").write_bytes(content[:700])
    elif fault == "offset":
        table = read_table(data / "feats.scp")
        write_table(data / "feats.scp", {k: f"{data}/feats.ark:999999" for k in table})
    elif fault == "keys":
        (tmp_path / "keys").write_text("nobody\nutt0\n")
        more = ["--key_file", f"{tmp_path}/keys"]
    elif fault == "choice":
        write_table(tmp_path / "choice", {f"utt{i}": "it" for i in range(7)})
        more = ["--utt2adapter", f"{tmp_path}/choice"]
    elif fault == "two":
        more = ["--adapter", f"hi={base}/hi", "--adapter", f"pa={base}/pa"]
    elif fault == "gpu":
        more = ["--device", "cuda:77"]
    elif fault == "device":
        more = ["--device", "abacus"]
    elif fault == "threads":
        more = ["--num_threads", "0"]
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        decode(base, data, tmp_path / "out", *more)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").rglob("*"))


def test_adapter_for_another_base(base, data, tmp_path):
    torch.manual_seed(1)
    save_base(build_whisper(SIZES, load_base(base / "base").tokenizer), tmp_path / "base")
    with pytest.raises(ValueError, match="fingerprint"):
        decode(tmp_path, data, tmp_path / "out", "--adapter", f"hi={base}/hi")


@pytest.mark.parametrize("beam_size", [1, 2])
def test_broken_weights(base, data, tmp_path, beam_size):
    (tmp_path / "conf.yaml").write_text(f"beam_size: {beam_size}\nmax_length: 4\n")
    model = load_base(base / "base")
    with torch.no_grad():
        model.decoder.ln.bias.fill_(3e38)  # its products overflow
    save_base(model, tmp_path / "base")
    with pytest.raises(ValueError, match="utt0, .* got a score that is no number"):
        decode(tmp_path, data, tmp_path / "out", "--config", f"{tmp_path}/conf.yaml")


def test_out_dir_in_the_way_of_a_file(base, data, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OSError, match="out"):
        decode(base, data, tmp_path / "out")


def test_narrow_dtype(base, data, tmp_path):
    more = ["--adapter", f"hi={base}/hi", "--dtype", "bfloat16"]
    assert len(decode(base, data, tmp_path / "out", *more)) == 7
