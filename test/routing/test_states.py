"""Stored states: what is written, what crops are, what is refused."""

import json

import kaldiio
import numpy as np
import pytest
import soundfile
import torch

from espnet_peft.audio import log_mel
from espnet_peft.kaldi import read_table, write_table
from espnet_peft.routing.config import RouterConfig
from espnet_peft.routing.crops import crop, crop_places
from espnet_peft.routing.states import extract_states, fingerprint_of, read_states

CONFIG = RouterConfig(layers=(0, 1), n_crops=2, crop_seconds=(0.5, 1.0), max_per_language=None)


def test_states_are_those_of_the_utterance_alone(base, feature_set, tmp_path):
    data = feature_set(each=4)
    count, seconds = extract_states(base, data, tmp_path / "states", CONFIG)
    assert count == 8 * 3
    specs = read_table(tmp_path / "states/feats.scp")
    features = read_table(data / "feats.scp")
    frames = read_table(tmp_path / "states/utt2num_frames", "one")
    for utt_id, spec in features.items():
        speech = torch.from_numpy(kaldiio.load_mat(spec).copy())[None]
        length = torch.tensor([speech.shape[1]])
        streams = [base.encode_prefix(speech, length, layer).x[0] for layer in (0, 1)]
        positions = base.encoder.positional_embedding[: len(streams[0])]
        wanted = torch.cat([stream - positions for stream in streams], 1).detach()
        found = kaldiio.load_mat(specs[utt_id])
        np.testing.assert_allclose(found, wanted, atol=2e-3)
        assert int(frames[utt_id]) == len(found)
    assert read_table(tmp_path / "states/utt2lang")["bb_001-crop2"] == "bb"
    info = json.loads((tmp_path / "states/states.json").read_text())
    assert info["base_fingerprint"] == fingerprint_of(base) and info["layers"] == [0, 1]


def test_crops_are_encoded_for_themselves(base, feature_set, tmp_path):
    data = feature_set(each=1)
    extract_states(base, data, tmp_path / "states", CONFIG, seed=3)
    specs = read_table(tmp_path / "states/feats.scp")
    whole = kaldiio.load_mat(read_table(data / "feats.scp")["aa_000"])
    places = crop_places("aa_000", len(whole) / 100, 0.5, 1.0, 2, 3)
    for number, (start, duration) in enumerate(places, 1):
        speech = torch.from_numpy(crop(whole, 100, start, duration).copy())[None]
        wanted = base.encode_prefix(speech, torch.tensor([speech.shape[1]]), 1).x[0].detach()
        wanted = wanted - base.encoder.positional_embedding[: len(wanted)]
        found = kaldiio.load_mat(specs[f"aa_000-crop{number}"])[:, 16:]
        assert 25 <= len(found) <= 51
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_a_crop_of_features_is_that_of_the_audio():
    generator = np.random.default_rng(0)
    audio = generator.normal(0, 0.2, 32000).astype(np.float32)
    features = log_mel(torch.from_numpy(audio)).numpy()
    cut = crop(features, 100, 0.4, 0.5)
    alone = log_mel(torch.from_numpy(crop(audio, 16000, 0.4, 0.5))).numpy()
    assert cut.shape == alone.shape == (50, 80)
    np.testing.assert_allclose(cut[2:-2], alone[2:-2], atol=1e-4)


def test_crop_places():
    places = crop_places("u1", 3.0, 0.5, 5.0, 100, seed=1)
    assert places == crop_places("u1", 3.0, 0.5, 5.0, 100, seed=1)
    assert places != crop_places("u2", 3.0, 0.5, 5.0, 100, seed=1)
    assert places != crop_places("u1", 3.0, 0.5, 5.0, 100, seed=2)
    durations = [duration for _, duration in places]
    assert min(durations) >= 0.5 and 2.7 < max(durations) <= 3.0
    assert all(start >= 0 and start + duration <= 3.0 + 1e-9 for start, duration in places)
    assert crop_places("u1", 0.5, 0.5, 5.0, 3, seed=1) == []


def test_limit_chooses_by_seed(base, feature_set, tmp_path):
    data = feature_set(each=6)
    config = RouterConfig(layers=(0,), n_crops=0, max_per_language=2)

    def chosen(seed, name):
        extract_states(base, data, tmp_path / name, config, seed)
        return list(read_table(tmp_path / name / "feats.scp"))

    first = chosen(0, "s0")
    assert [utt_id[:2] for utt_id in first] == ["aa", "aa", "bb", "bb"]
    assert first == chosen(0, "again")
    assert any(chosen(seed, f"s{seed}") != first for seed in (1, 2, 3))


def test_audio_of_any_rate_will_do(base, tmp_path):
    data = tmp_path / "wavs"
    data.mkdir()
    generator = np.random.default_rng(0)
    for name in ("u1", "u2"):
        soundfile.write(data / f"{name}.wav", generator.normal(0, 0.1, 8000), 8000)
    write_table(data / "wav.scp", {"r1": f"{data}/u1.wav", "r2": f"{data}/u2.wav"})
    write_table(data / "segments", {"u1": "r1 0.0 0.6", "u2": "r1 0.5 1.0", "u3": "r2 0.0 1.0"})
    write_table(data / "utt2lang", {"u1": "aa", "u2": "bb", "u3": "aa"})
    extract_states(base, data, tmp_path / "states", RouterConfig(layers=(1,), n_crops=0))
    frames = read_table(tmp_path / "states/utt2num_frames", "one")
    assert frames == {"u1": "30", "u2": "25", "u3": "50"}


def test_faults_of_the_data_change_nothing(base, feature_set, tmp_path):
    data, out = feature_set(), tmp_path / "states"
    extract_states(base, data, out, CONFIG)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    ark = data / "feats.ark"
    content = ark.read_bytes()
    ark.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="set: .*: cannot read"):
        extract_states(base, data, out, CONFIG)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    write_table(data / "utt2lang", {"aa_000": "aa"})
    with pytest.raises(ValueError, match="11 utterances missing, as aa_001"):
        extract_states(base, data, out, CONFIG)
    (data / "utt2lang").unlink()
    with pytest.raises(FileNotFoundError, match="utt2lang: not found"):
        extract_states(base, data, out, CONFIG)
    with pytest.raises(ValueError, match="layer 3, expected 0 to 2"):
        extract_states(base, data, out, RouterConfig(layers=(3,)))
    with pytest.raises(FileNotFoundError, match="neither feats.scp nor wav.scp"):
        extract_states(base, tmp_path, out, CONFIG)


def test_reading_joins_sets_and_checks_them(base, feature_set, tmp_path):
    config = RouterConfig(layers=(1,), n_crops=1, max_per_language=None)
    for name, languages in (("s1", ("aa", "bb")), ("s2", ("bb", "cc"))):
        extract_states(base, feature_set(name, languages), tmp_path / f"x_{name}", config)
    dirs = [tmp_path / "x_s1", tmp_path / "x_s2"]
    fingerprint = fingerprint_of(base)
    data = read_states(dirs, ["cc", "bb"], (1,), fingerprint)
    assert set(data.labels.tolist()) == {0, 1}
    assert len(data.utt_ids) == len(set(data.utt_ids)) == 24  # bb is in both
    assert data.frames.shape == (int(data.lengths.sum()), 16)
    whole = kaldiio.load_mat(read_table(dirs[1] / "feats.scp")["cc_002"])
    k = data.utt_ids.index("cc_002")
    found = data.gather(data.starts[k : k + 1], data.lengths[k : k + 1])[0]
    np.testing.assert_allclose(found, whole, atol=2e-3)
    with pytest.raises(ValueError, match="no utterance of dd"):
        read_states(dirs, ["bb", "dd"], (1,), fingerprint)
    with pytest.raises(ValueError, match=r"states of layers \[1\], expected \[0\]"):
        read_states(dirs, ["bb"], (0,), fingerprint)
    with pytest.raises(ValueError, match="states of the base .* expected 000000000000"):
        read_states(dirs, ["bb"], (1,), "0" * 64)
    with pytest.raises(FileNotFoundError, match="run extract_states"):
        read_states([tmp_path], ["bb"], (1,), fingerprint)
    info = dirs[0] / "states.json"
    for text, message in (("{", "no JSON"), ("[]", "no base_fingerprint or layers")):
        info.write_text(text)
        with pytest.raises(ValueError, match=f"states.json: {message}.*; extract the states again"):
            read_states(dirs, ["bb"], (1,), fingerprint)
