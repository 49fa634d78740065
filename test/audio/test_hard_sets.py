"""Sets of short and of noisy utterances, measured against the recordings they are made of."""

import numpy as np
import pytest
import soundfile

from espnet_peft.bin import make_hard_sets
from espnet_peft.kaldi import read_table, validate_data_dir

RATE = 16_000


def make(data, out, kind, *options):
    make_hard_sets.main(
        ["--kind", kind, "--data_dir", str(data), "--out_dir", str(out), *map(str, options)]
    )
    return out


@pytest.fixture
def data(tmp_path, make_tones):
    return make_tones(tmp_path / "aa", "aa", n=8)


def test_short_ones_are_whole_words_where_the_ctm_has_them(data, tmp_path):
    out = make(data, tmp_path / "short", "short")
    assert validate_data_dir(out, lang=True) == []
    assert read_table(out / "wav.scp") == read_table(data / "wav.scp")
    text, whole = read_table(out / "text"), read_table(data / "text")
    lengths = set()
    assert len(text) == 8
    for crop, place in read_table(out / "segments").items():
        utt_id, start, end = place.split()
        words = whole[utt_id].split()
        first, after = ((float(t) - 0.05) / 0.25 for t in (start, end))
        assert text[crop] == " ".join(words[round(first) : round(after)])
        assert (first, after) == pytest.approx((round(first), round(after)))
        assert 0.4 <= float(end) - float(start) <= 1.5
        lengths.add(round(float(end) - float(start), 2))
    assert len(lengths) > 2
    again = make(data, tmp_path / "again", "short")
    assert (again / "segments").read_bytes() == (out / "segments").read_bytes()
    other = make(data, tmp_path / "other", "short", "--seed", 1)
    assert (other / "segments").read_bytes() != (out / "segments").read_bytes()


def test_crops_of_segments_stay_in_their_recording(data, tmp_path):
    """The words of an utterance that is itself a part of a recording."""
    wavs = read_table(data / "wav.scp")
    (data / "segments").write_text("".join(f"{u} rec-{u} 0.05 1.3\n" for u in wavs))
    (data / "wav.scp").write_text("".join(f"rec-{u} {wav}\n" for u, wav in wavs.items()))
    texts = {u: " ".join(t.split()[:5]) for u, t in read_table(data / "text").items()}
    (data / "text").write_text("".join(f"{u} {t}\n" for u, t in texts.items()))
    lines = [
        f"{u} 1 {0.25 * k} 0.25 {word}\n"
        for u, text in texts.items()
        for k, word in enumerate(text.split())
    ]
    (data / "ctm").write_text("".join(lines))
    out = make(data, tmp_path / "short", "short")
    assert validate_data_dir(out, lang=True) == []
    text = read_table(out / "text")
    for crop, place in read_table(out / "segments").items():
        recording, start, _ = place.split()
        first = text[crop].split()[0]
        assert recording == f"rec-aa_{crop.split('_')[1][:4]}"
        assert float(start) == pytest.approx(0.05 + 0.25 * int(first[-1]))


@pytest.mark.parametrize("snr", [-3, 0, 12.5])
def test_ratio_of_the_written_files(data, tmp_path, snr):
    out = make(data, tmp_path / "noisy", "noise", "--snr", snr)
    assert validate_data_dir(out, lang=True) == []
    for name in ("text", "utt2lang", "utt2spk", "ctm"):
        assert (out / name).read_bytes() == (data / name).read_bytes()
    kinds = read_table(out / "utt2category")
    assert list(kinds.values()) == ["white", "babble"] * 4
    for utt_id, wav in read_table(out / "wav.scp").items():
        x = soundfile.read(read_table(data / "wav.scp")[utt_id])[0]
        y, rate = soundfile.read(wav)
        assert rate == RATE and len(x) == len(y)
        if kinds[utt_id] == "babble":  # its tones are those of the speech itself
            continue
        spoken = slice(800, -1600)
        gain = y[spoken] @ x[spoken] / (x[spoken] @ x[spoken])
        speech, noise = gain * x[spoken], (y - gain * x)[spoken]
        ratio = 10 * np.log10(np.mean(speech**2) / np.mean(noise**2))
        assert ratio == pytest.approx(snr, abs=0.3)  # of a piece of 1.5 s of the noise


def test_noise_depends_on_seed_and_utterance_alone(data, tmp_path):
    def read(out, utt_id="aa_v1-2"):
        return (out / "wav" / f"{utt_id}.wav").read_bytes()

    options = ("--noise", "speech_shaped")
    first = make(data, tmp_path / "one", "noise", *options)
    assert read(make(data, tmp_path / "two", "noise", *options)) == read(first)
    assert read(make(data, tmp_path / "three", "noise", *options, "--seed", 1)) != read(first)


@pytest.mark.parametrize(
    "kind, options, message",
    [
        ("noise", ["--noise", "pink"], "noise pink: expected some of white"),
        ("noise", ["--noise", ""], "noise none: expected"),
        ("noise", ["--snr", "nan"], "ratio nan dB: expected"),
        ("noise", ["--seed", "-1"], "--seed -1: expected 0 or more"),
        ("short", ["--min_seconds", "2"], "lengths 2.0 to 1.5 s: expected"),
        ("short", ["--min_seconds", "2", "--max_seconds", "3"], "none of 8 utterances has whole"),
    ],
)
def test_refused(data, tmp_path, kind, options, message):
    with pytest.raises(ValueError, match=message):
        make(data, tmp_path / "out", kind, *options)
    assert not list(tmp_path.glob("out*"))


def test_silence_is_named_and_nothing_is_left(data, tmp_path):
    wav = read_table(data / "wav.scp")["aa_v2-7"]
    soundfile.write(wav, np.zeros(27_000), RATE)
    with pytest.raises(ValueError, match="aa_v2-7: digital silence.*remove the utterance"):
        make(data, tmp_path / "out", "noise")
    assert not list(tmp_path.glob("out*"))
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        make(data, tmp_path / "out", "short")
