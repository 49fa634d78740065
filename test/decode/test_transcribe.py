"""Recordings to transcripts: order, times and faults, with a decoder that tells tones apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch

from espnet_peft import adapters
from espnet_peft.audio.cut import CutOptions
from espnet_peft.bin.transcribe import main, name_outputs
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.transcribe import MOST_BATCHES, transcribe
from espnet_peft.decode.transcript import Segment, Transcript, to_dict, to_line
from espnet_peft.kaldi.timeline import Span
from espnet_peft.models import build_whisper, load_base, save_base
from espnet_peft.models.tokenizer import SentencePieceTokenizer, train_sentencepiece, write_model

RATE = 16_000
SIZES = dict(
    n_audio_state=16,
    n_audio_head=2,
    n_audio_layer=1,
    n_text_state=16,
    n_text_head=2,
    n_text_layer=1,
    n_text_ctx=40,
)


def melody(tones: list[tuple[int, float]], pause: float = 1.0) -> np.ndarray:
    """Tones (Hz, seconds) that tremble 5 times a second, with a pause before each of them."""
    parts = []
    for pitch, seconds in tones:
        time = np.arange(round(seconds * RATE)) / RATE
        parts += [np.zeros(round(pause * RATE))]
        parts += [np.sin(2 * np.pi * pitch * time) * (0.11 - 0.09 * np.cos(2 * np.pi * 5 * time))]
    return np.concatenate([*parts, np.zeros(round(pause * RATE))]).astype(np.float32)


class Ear:
    """Decodes a tone to its pitch, and remembers its batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, speech, lengths):
        self.batches.append((speech.shape[1], lengths.tolist()))
        results = []
        for row, length in zip(speech, lengths, strict=True):
            assert not row[length:].any()
            power = torch.fft.rfft(row[:length]).abs()
            pitch = float(power.argmax()) * RATE / float(length)
            results.append(Hypothesis([], -1.0, text=str(round(pitch / 10) * 10), language="hi"))
        return results


def write_melodies(folder, count: int, seed: int = 0) -> dict[str, list[tuple[int, float]]]:
    random = np.random.default_rng(seed)
    found = {}
    for index in range(count):
        tones = [
            (int(random.integers(30, 150)) * 10, float(random.uniform(1.2, 6)))
            for _ in range(random.integers(1, 12))
        ]
        path = str(folder / f"{index}.flac")
        soundfile.write(path, melody(tones), RATE)
        found[path] = tones
    return found


def test_every_tone_is_at_its_place(tmp_path):
    files = write_melodies(tmp_path, 7)
    ear = Ear()
    done = [t for t in transcribe(files, ear, batch_seconds=20.0) if t.done]
    assert [t.audio for t in done] == list(files)
    for transcript in done:
        tones = files[transcript.audio]
        assert [segment.text for segment in transcript.segments] == [str(p) for p, _ in tones]
        now = 0.0
        for segment, (_, seconds) in zip(transcript.segments, tones, strict=True):
            start, end = now + 1.0, now + 1.0 + seconds
            assert start - 0.15 < segment.start < start + 0.05
            assert end - 0.05 < segment.end < end + 0.3
            now = end
        assert transcript.seconds == pytest.approx(now + 1.0, abs=0.01)
    for longest, lengths in ear.batches:
        assert longest * len(lengths) <= 20 * RATE
    assert sum(len(lengths) for _, lengths in ear.batches) == sum(map(len, files.values()))
    assert any(len(lengths) > 2 for _, lengths in ear.batches)


def test_text_comes_while_a_long_recording_goes_on(tmp_path):
    tones = [(400 + 10 * i, 4.0) for i in range(60)]
    soundfile.write(tmp_path / "long.wav", melody(tones), RATE)
    seen = [
        (len(transcript.segments), transcript.done)
        for transcript in transcribe([str(tmp_path / "long.wav")], Ear(), batch_seconds=20.0)
    ]
    counts = [count for count, _ in seen]
    assert counts == sorted(counts) and counts[-1] == 60
    assert 4 <= counts[0] <= 6  # 20 s
    assert max(np.diff(counts)) * 4 <= MOST_BATCHES * 20 + 4
    assert [done for _, done in seen] == [False] * (len(seen) - 1) + [True]


def test_a_fault_is_told_in_its_place_and_stops_nothing(tmp_path):
    files = list(write_melodies(tmp_path, 2))
    (tmp_path / "bad.wav").write_bytes(b"RIFF no")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    paths = [
        str(tmp_path / "missing.wav"),
        files[0],
        str(tmp_path / "bad.wav"),
        str(tmp_path / "silent.wav"),
        files[1],
    ]
    done = [t for t in transcribe(paths, Ear()) if t.done]
    assert [t.audio for t in done] == paths
    assert [type(t.fault) for t in done] == [FileNotFoundError, type(None), ValueError] + [
        type(None)
    ] * 2
    assert [bool(t.segments) for t in done] == [False, True, False, False, True]


def test_a_score_that_is_no_number_is_an_error(tmp_path):
    files = write_melodies(tmp_path, 1)

    def broken(speech, lengths):
        return [Hypothesis([], float("nan")) for _ in lengths]

    with pytest.raises(ValueError, match="0.flac: the piece at 0.9. s got a score that is no numb"):
        list(transcribe(files, broken))


def test_spans_are_in_seconds_of_the_recording(tmp_path):
    soundfile.write(tmp_path / "a.wav", melody([(500, 3.0)], pause=2.0), RATE)

    def decode(speech, lengths):
        return [Hypothesis([], 0.0, spans=(Span(0.0, 1.5, "hi"), Span(1.5, 3.0, "pa")))]

    [transcript] = transcribe([str(tmp_path / "a.wav")], decode, CutOptions(padding=0.0, lead=0.0))
    [segment] = transcript.segments
    assert segment.start == pytest.approx(2.0, abs=0.06)
    assert [span.start for span in segment.spans] == [segment.start, segment.start + 1.5]


def test_lines():
    segment = Segment(1.2, 4.804, "namaste", "hi", {"hi": 0.981, "pa": 0.019}, {"hi": 1.0})
    assert to_line(segment) == "[00:01.20 -> 00:04.80] (hi 0.98, hi) namaste"
    segment = Segment(3599.999, 3661, "x", "hi", {}, {"hi": 0.7, "pa": 0.3})
    assert to_line(segment) == "[1:00:00.00 -> 1:01:01.00] (hi, hi:0.70 pa:0.30) x"
    assert to_line(Segment(0, 1, "x", None, {}, {"base": 1.0})).endswith(" (base) x")


def test_json_is_complete():
    segment = Segment(0.5, 1.25, "é", "it", {"it": 1.0}, {"it": 1.0}, -2.5, [Span(0.5, 1, "it")])
    found = json.loads(json.dumps(to_dict(Transcript("a.wav", 2.0, [segment], True))))
    assert found == {
        "audio": "a.wav",
        "seconds": 2.0,
        "segments": [
            {
                "start": 0.5,
                "end": 1.25,
                "text": "é",
                "language": "it",
                "probabilities": {"it": 1.0},
                "adapters": {"it": 1.0},
                "score": -2.5,
                "spans": [{"start": 0.5, "end": 1, "language": "it"}],
            }
        ],
    }


def test_names_of_outputs(tmp_path):
    out = str(tmp_path / "out")
    found = name_outputs(["x/a.wav", "b.c.mp3"], out, ["txt", "srt"])
    assert [str(p) for p in found["x/a.wav"].values()] == [f"{out}/a.txt", f"{out}/a.srt"]
    assert str(found["b.c.mp3"]["txt"]) == f"{out}/b.c.txt"
    found = name_outputs(["x/1/a.wav", "x/2/a.wav", "x/2/a.mp3"], out, ["txt"])
    assert [str(p["txt"]) for p in found.values()] == [
        f"{out}/1/a.wav.txt",
        f"{out}/2/a.wav.txt",
        f"{out}/2/a.mp3.txt",
    ]
    with pytest.raises(ValueError, match="a.wav: given more than once"):
        name_outputs(["a.wav", "./a.wav"], out, ["txt"])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A random base with adapters for hi and pa and a stranger of another base, and recordings."""
    folder = tmp_path_factory.mktemp("exp")
    write_model(train_sentencepiece(["ab cd"], ["hi", "pa", "en"], "char"), folder / "tokenizer")
    for seed, (base, names) in enumerate({"base": ("hi", "pa"), "other": ("te",)}.items()):
        torch.manual_seed(seed)
        model = build_whisper(SIZES, SentencePieceTokenizer(folder / "tokenizer"))
        with torch.no_grad():
            model.decoder.token_embedding.weight.mul_(4)
        save_base(model, folder / base)
        for name in names:
            model = load_base(folder / base)
            config = adapters.make_config("lora", {"r": 2, "target": "all"})
            adapters.inject(model, config, name=name)
            with torch.no_grad():
                for tensor in adapters.trainable_state_dict(model).values():
                    tensor.normal_(std=0.5)
            parent = folder / ("adapters" if base == "base" else "strangers") / f"{name}_lora"
            adapters.save(model, parent / "adapter", name=name, language=name)
    soundfile.write(folder / "two.mp3", melody([(500, 2.0), (900, 3.0)]), RATE)
    soundfile.write(folder / "one.ogg", np.stack([melody([(700, 1.5)])] * 2, 1), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    (folder / "bad.wav").write_bytes(b"no audio")
    return folder


def say(place, capsys, *arguments: str):
    """Run the command in its folder; returns stdout, stderr and the error's text or None."""
    try:
        main(["--base_model", f"{place}/base", "--num_threads", "1", *arguments])
        error = None
    except (ValueError, OSError) as found:
        error = str(found)
    captured = capsys.readouterr()
    return captured.out, captured.err, error


def test_printed_lines(place, capsys):
    adapter = ["--adapter", f"mine={place}/adapters/hi_lora/adapter"]
    out, err, error = say(place, capsys, "--language", "hi", *adapter, f"{place}/two.mp3")
    assert error is None and err == ""
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("[00:00.9") and "] (hi, mine) " in lines[0]


@pytest.mark.parametrize("more", [["--language", "pa"], ["--base_languages", "en"]])
def test_adapters_of_a_folder(place, capsys, more):
    adapters_dir = ["--adapters_dir", f"{place}/adapters"]
    out, _, error = say(place, capsys, *adapters_dir, *more, "--format", "json", f"{place}/two.mp3")
    assert error is None
    for segment in json.loads(out)["segments"]:
        if more[0] == "--language":
            assert segment["adapters"] == {"pa": 1.0} and segment["probabilities"] == {}
        else:
            language = segment["language"]
            assert segment["adapters"] == {"base" if language == "en" else language: 1.0}
            assert set(segment["probabilities"]) == {"hi", "pa", "en"}
            assert segment["probabilities"][language] == max(segment["probabilities"].values())


def test_the_adapter_is_at_work(place, capsys):
    file = f"{place}/two.mp3"
    texts = [
        say(place, capsys, "--language", "hi", "--format", "srt", *more, file)[0]
        for more in ([], ["--adapter", f"x={place}/adapters/hi_lora/adapter"])
    ]
    assert texts[0] != texts[1]


def test_files_and_faults(place, capsys, tmp_path):
    names = ["two.mp3", "missing.wav", "bad.wav", "silent.wav", "one.ogg"]
    files = [f"{place}/{name}" for name in names]
    out, err, error = say(place, capsys, "--format", "all", "--out_dir", f"{tmp_path}/out", *files)
    assert error == "2 of 5 files not transcribed, see above"
    assert f"transcribe: error: {place}/missing.wav: no such file" in err
    assert f"transcribe: error: {place}/bad.wav: unreadable audio" in err
    assert f"{place}/silent.wav: no speech found" in err
    assert len(out.splitlines()) == 3
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    formats = ("json", "srt", "txt", "vtt")
    assert written == [
        f"{stem}.{suffix}" for stem in ("one", "silent", "two") for suffix in formats
    ]
    assert (tmp_path / "out/silent.txt").read_text() == ""
    assert len(json.loads((tmp_path / "out/two.json").read_text())["segments"]) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--language", "xx"], "--language xx: not in the base model's tokenizer; there are hi"),
        (["--language", "en", "--adapters_dir", "{}/adapters"], "--language en: no adapter for it"),
        (["--language", "hi", "--router", "token"], "--language hi is given too"),
        (["--language", "hi", "--adapter", "hi={}/none"], "none/adapter_config.json: not found"),
        (["--language", "te", "--adapters_dir", "{}/strangers"], "made for the base with finger"),
        (["--adapters_dir", "{}/strangers"], "made for the base with fingerprint"),
        (["--adapters_dir", "{}/base"], "no adapter_config.json in it or below"),
        (["--adapters_dir", "{}/nowhere"], "no such folder"),
        (["--adapter", "hi"], "expected NAME=DIR"),
        (["--strategy", "best"], "best"),
        (["--strategy", "oracle"], "oracle"),
        (["--router", "{}/base"], "base"),
        (["--max_seconds", "31"], "max_seconds: found 31.0, expected 1 to 30 seconds"),
        (["--format", "all"], "--format all: cannot be printed; give --out_dir"),
        (["--format", "srt", "{}/one.ogg"], "one file can be printed; give --out_dir"),
        (["--num_threads", "0"], "--num_threads: found 0"),
        (["--device", "tpu"], "--device tpu: expected cpu"),
    ],
)
def test_wrong_settings_are_refused_before_any_audio(place, capsys, arguments, message):
    given = [argument.format(place) for argument in arguments]
    out, _, error = say(place, capsys, *given, f"{place}/two.mp3")
    assert error is not None and message in error
    assert out == ""


def test_two_adapters_of_a_language(place, capsys, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(place / "adapters/hi_lora")
    _, _, error = say(place, capsys, "--adapters_dir", f"{tmp_path}", f"{place}/two.mp3")
    assert "two adapters for hi:" in error and "choose by --adapter NAME=DIR" in error
