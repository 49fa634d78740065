"""Code-switched sets of tones: what is heard, when, and what the tables say about it."""

import os

import numpy as np
import pytest
import soundfile

from espnet_peft.bin import make_codeswitch
from espnet_peft.kaldi import read_table, validate_data_dir, write_table
from espnet_peft.kaldi.timeline import read_timeline

RATE = 16_000
PITCH = {"aa": 500.0, "bb": 1500.0, "cc": 3000.0}
KINDS = ("inter", "intra", "rapid")


def make(directories, out, kind, *options):
    listed = " ".join(map(str, directories))
    make_codeswitch.main(
        ["--kind", kind, "--data_dirs", listed, "--out_dir", str(out), "--n", "12", *options]
    )
    return out


def heard(x):
    """The language of each 5 ms of x, by the power at each pitch; None in a tie or in silence."""
    frames = x[: len(x) // 80 * 80].reshape(-1, 80)
    t = np.arange(80) / RATE
    power = np.stack(
        [np.abs(frames @ np.exp(-2j * np.pi * hz * t)) / 80 for hz in PITCH.values()], axis=1
    )
    names = list(PITCH)
    return [names[row.argmax()] if row.max() > 0.003 else None for row in power]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_heard_is_what_the_timeline_says(tones, tmp_path, kind):
    out = make(tones, tmp_path / "cs", kind)
    timeline = read_timeline(out / "timeline")
    wavs = read_table(out / "wav.scp")
    assert list(timeline) == list(wavs) and len(wavs) == 12
    for utt_id, spans in timeline.items():
        x, rate = soundfile.read(wavs[utt_id])
        assert rate == RATE and len(x) / RATE <= 28
        assert spans[0].start == 0 and spans[-1].end == pytest.approx(len(x) / RATE, abs=1e-9)
        for before, after in zip(spans, spans[1:], strict=False):
            assert after.start == before.end and after.language != before.language
        for k, language in enumerate(heard(x)):
            middle = (k + 0.5) * 80 / RATE
            span = next(s for s in spans if s.start <= middle < s.end)
            near_a_border = min(abs(middle - s.start) for s in spans) < 0.003
            assert language in (span.language, None) or near_a_border, (utt_id, middle)


@pytest.mark.parametrize("kind", ["intra", "rapid"])
def test_words_lie_where_the_timeline_puts_them(tones, tmp_path, kind):
    """Each span holds just the samples of its words in the source, up to the common gain."""
    out = make(tones, tmp_path / "cs", kind)
    sources = {}
    for directory in tones:
        wavs = read_table(directory / "wav.scp")
        for utt_id, text in read_table(directory / "text").items():
            for k, word in enumerate(text.split()):
                sources[word] = (soundfile.read(wavs[utt_id])[0], 800 + 4000 * k)
    texts = read_table(tmp_path / "cs_segments" / "text")
    timeline, wavs = read_timeline(out / "timeline"), read_table(out / "wav.scp")
    levels = []
    for utt_id, spans in timeline.items():
        x = soundfile.read(wavs[utt_id])[0]
        for k, span in enumerate(spans):
            words = texts[f"{utt_id}-{k:02d}-{span.language}"].split()
            source, begin = sources[words[0]]
            start = round(span.start * RATE)
            if k == 0:  # of the first span the end is known, not the beginning
                begin += 4000 * len(words) - (round(span.end * RATE) - start)
            part = slice(start + 160, round(span.end * RATE) - 160)
            found = x[part]
            wanted = source[begin + 160 : begin + 160 + len(found)]
            gain = found @ wanted / (wanted @ wanted)
            spoken = slice(1600, -1600) if kind == "intra" else slice(None)
            assert np.abs(found - gain * wanted).max() < 1e-4, (utt_id, k)
            levels.append(10 * np.log10(np.mean(np.square(found[spoken]))))
    assert np.ptp(levels) < 0.6, "spans are not equally loud"


def test_inter_joins_whole_utterances_equally_loud(tones, tmp_path):
    out = make(tones, tmp_path / "cs", "inter")
    originals = {text for x in tones for text in read_table(x / "text").values()}
    segments = tmp_path / "cs_segments"
    assert set(read_table(segments / "text").values()) <= originals
    wavs = read_table(out / "wav.scp")
    levels = []
    for spans, utt_id in zip(read_timeline(out / "timeline").values(), wavs, strict=True):
        assert len(spans) in (2, 3)
        x = soundfile.read(wavs[utt_id])[0]
        for span in spans:
            middle = round((span.start + span.end) / 2 * RATE)
            levels.append(10 * np.log10(np.mean(np.square(x[middle - 4000 : middle + 4000]))))
    assert np.ptp(levels) < 0.1 and np.mean(levels) == pytest.approx(-26, abs=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_tables(tones, tmp_path, kind):
    out = make(tones, tmp_path / "cs", kind)
    segments = tmp_path / "cs_segments"
    for directory in (out, segments):
        assert validate_data_dir(directory, lang=True) == []
        assert not list(directory.glob("*.tmp"))
    text, whole = read_table(segments / "text"), read_table(out / "text")
    places = read_table(segments / "segments")
    assert read_table(segments / "wav.scp") == read_table(out / "wav.scp")
    for utt_id, spans in read_timeline(out / "timeline").items():
        own = [part for part, place in places.items() if place.split()[0] == utt_id]
        assert " ".join(text[part] for part in own) == whole[utt_id]
        times = [tuple(map(float, places[part].split()[1:])) for part in own]
        assert times == [(span.start, span.end) for span in spans]
        seconds = {}
        for span in spans:
            seconds[span.language] = seconds.get(span.language, 0) + span.seconds
        assert seconds[read_table(out / "utt2lang")[utt_id]] == max(seconds.values())
    languages = [spans[0].language for spans in read_timeline(out / "timeline").values()]
    switched = [(s[0].language, s[1].language) for s in read_timeline(out / "timeline").values()]
    assert len(set(languages)) == 3
    if kind != "intra":  # where the words that are put in may come first
        assert all(switched.count(pair) == 2 for pair in set(switched))


def test_the_seed_decides(tones, tmp_path):
    def digest(out):
        files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "wav.scp")
        return [(path.name, path.read_bytes()) for path in files]

    first = digest(make(tones, tmp_path / "one", "intra"))
    assert digest(make(tones[::-1], tmp_path / "two", "intra")) == first
    assert digest(make(tones, tmp_path / "three", "intra", "--seed", "1")) != first
    few = make(tones, tmp_path / "few", "intra", "--n", "3")
    assert dict(digest(few))["intra-0002.wav"] == dict(first)["intra-0002.wav"]


def test_one_voice_in_a_mixture(tones, tmp_path, caplog):
    out = make(tones, tmp_path / "cs", "rapid", "--same_voice", "_(.+)")
    voice_of = {
        word: read_table(x / "utt2spk")[utt_id].split("_")[1]
        for x in tones
        for utt_id, text in read_table(x / "text").items()
        for word in text.split()
    }
    voices = [{voice_of[w] for w in text.split()} for text in read_table(out / "text").values()]
    assert all(len(v) == 1 for v in voices) and len(set.union(*voices)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_without_word_times_cuts_are_in_pauses(paused, tmp_path, kind):
    out = make(paused, tmp_path / "cs", kind)
    assert validate_data_dir(out, lang=True) == []
    for utt_id, spans in read_timeline(out / "timeline").items():
        x = soundfile.read(read_table(out / "wav.scp")[utt_id])[0]
        for span in spans[1:]:
            border = round(span.start * RATE)
            assert np.abs(x[border - 80 : border + 80]).max() < 0.01, (utt_id, span)
    words = [len(text.split()) for text in read_table(tmp_path / "cs_segments" / "text").values()]
    seconds = [float(x) for x in read_table(tmp_path / "cs_segments" / "utt2dur").values()]
    # A word and its pause last 0.9 s: the words of a span are as many as it has room for.
    assert all(abs(n - (s + 0.2) / 0.9) < 0.75 for n, s in zip(words, seconds, strict=True))


def human(clips, language, directory):
    """A data directory of the test set of one locale of Common Voice."""
    rows = [x.split("\t") for x in (clips / "test.tsv").read_text("utf-8").splitlines()]
    path, sentence = rows[0].index("path"), rows[0].index("sentence")
    directory.mkdir()
    names = [row[path] for row in rows[1:]]
    write_table(directory / "wav.scp", {name: str(clips / "clips" / name) for name in names})
    write_table(directory / "text", {row[path]: row[sentence] for row in rows[1:]})
    write_table(directory / "utt2spk", {name: name for name in names})
    write_table(directory / "utt2lang", {name: language for name in names})
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_human_speech_is_cut_in_its_pauses(shared_data, tmp_path, kind):
    (corpus,) = (shared_data / "commonvoice").glob("cv-corpus-*")
    directories = [human(corpus / x, x, tmp_path / x) for x in ("it", "hi")]
    out = make(directories, tmp_path / "cs", kind, "--n", "4")
    assert validate_data_dir(out, lang=True) == []
    for utt_id, spans in read_timeline(out / "timeline").items():
        x, _ = soundfile.read(read_table(out / "wav.scp")[utt_id])
        assert len(x) / RATE <= 28
        jumps = np.abs(np.diff(x))
        for span in spans[1:]:
            border = round(span.start * RATE)
            assert jumps[border - 80 : border + 80].max() < 0.2 * jumps.max(), (utt_id, span)


def test_mixtures_end_before_28_s(tmp_path, make_tones):
    """Sentences of 25 s leave no room for another one, nor for words of another language."""
    directories = [make_tones(tmp_path / x, x, n=2, words=100) for x in ("aa", "bb")]
    for kind in ("inter", "intra"):
        with pytest.raises(ValueError, match="none of the 2 utterances of .. has"):
            make(directories, tmp_path / "cs", kind)
    make(directories, tmp_path / "cs", "rapid")


def test_refused(tones, paused, tmp_path):
    out = tmp_path / "cs"

    def refused(message, directories, kind="inter", *options, error=ValueError):
        with pytest.raises(error, match=message) as caught:
            make(directories, out, kind, *options)
        assert "\n" not in str(caught.value)
        assert not out.exists() and not list(tmp_path.glob("cs*"))

    refused("languages: aa, expected two or more", tones[:1])
    refused("--data_dirs is empty", [])
    refused("n 0: expected at least 1", tones, "inter", "--n", "0")
    refused("nothing/: no such|nothing: no such", [tmp_path / "nothing"], error=OSError)
    refused("is in .* too, expected it once", [tones[0], tones[0], tones[1]])
    refused(r"--same_voice x\+\+\(: .*regular", tones, "inter", "--same_voice", "x++(")
    refused("--same_voice zz: not in speaker", tones, "inter", "--same_voice", "zz")
    refused("none of the 4 utterances of .. has", tones[:2], "inter", "--same_voice", "(..)_")
    (tones[1] / "utt2lang").rename(tmp_path / "kept")
    refused("bb/utt2lang: no such file", tones, error=OSError)
    (tmp_path / "kept").rename(tones[1] / "utt2lang")
    ctm = (tones[1] / "ctm").read_text()
    (tones[1] / "ctm").write_text(ctm.replace("bb00", "other"))
    refused("bb_v1-0: ctm has the words", tones, "rapid", "--n", "40")
    (tones[1] / "ctm").write_text(ctm)
    for wav in (tones[2] / "audio").glob("*.wav"):
        wav.write_bytes(b"RIFF")
    refused("cc_v.-.: .*unreadable audio", tones)


def test_an_existing_directory_is_kept(tones, tmp_path):
    out = tmp_path / "cs_segments"
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(OSError, match="exists already"):
        make(tones, tmp_path / "cs", "inter")
    assert os.listdir(out) == ["mine"] and not (tmp_path / "cs").exists()


def test_faint_recordings_are_left_out(tones, tmp_path):
    for utt_id, wav in read_table(tones[0] / "wav.scp").items():
        x, _ = soundfile.read(wav)
        if not utt_id.endswith("3"):
            soundfile.write(wav, x * 1e-4, RATE, subtype="FLOAT")
    make(tones, tmp_path / "cs", "rapid")
    words = [w for text in read_table(tmp_path / "cs" / "text").values() for w in text.split()]
    assert {w[:3] for w in words if w.startswith("aa")} == {"aa3"}
