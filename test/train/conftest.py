"""A toy task: seven letters, each a fixed spectrum, which a small Whisper learns in seconds."""

import kaldiio
import numpy as np
import pytest
import torch

LETTERS = "abcdefg"
N_MELS, FRAMES = 80, 8  # frames a letter

BUILD = {
    "n_audio_state": 32,
    "n_audio_head": 2,
    "n_audio_layer": 1,
    "n_audio_ctx": 200,
    "n_text_state": 32,
    "n_text_head": 2,
    "n_text_layer": 1,
    "n_text_ctx": 48,
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def write_data(path, count, seed, lang="en"):
    """A data directory of `count` utterances of letters and spaces."""
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    spectra = np.random.default_rng(0).normal(size=(len(LETTERS) + 1, N_MELS)).astype("float32")
    feats, rows = {}, {"text": [], "utt2lang": [], "utt2num_frames": []}
    for number in range(count):
        utt_id = f"{path.name}-{number:03d}"
        words = ["".join(rng.choice(list(LETTERS), rng.integers(1, 4))) for _ in range(2)]
        text = " ".join(words)
        columns = [LETTERS.find(c) for c in text]
        feats[utt_id] = np.repeat(spectra[columns], FRAMES, axis=0)
        feats[utt_id] += 0.1 * rng.normal(size=feats[utt_id].shape).astype("float32")
        rows["text"].append(f"{utt_id} {text}\n")
        rows["utt2lang"].append(f"{utt_id} {lang}\n")
        rows["utt2num_frames"].append(f"{utt_id} {len(feats[utt_id])}\n")
    kaldiio.save_ark(str(path / "feats.ark"), feats, scp=str(path / "feats.scp"))
    for name, lines in rows.items():
        (path / name).write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """Directories `train`, `valid` and `tokenizer` of the toy task."""
    from espnet_peft.models.tokenizer import train_sentencepiece, write_model

    root = tmp_path_factory.mktemp("toy")
    write_data(root / "train", 32, seed=1)
    write_data(root / "valid", 8, seed=2)
    write_model(train_sentencepiece([LETTERS, "a b"], ["en", "hi"]), root / "tokenizer")
    return root


@pytest.fixture(scope="session")
def pretrain(toy):
    """Run a pretraining: `pretrain(out_dir, *more options)`."""

    def run(out_dir, *more, steps=6, epochs=3):
        options = ["--tokenizer", toy / "tokenizer", "--build", str(BUILD), "--ctc_weight", "0.3"]
        options += common(toy, out_dir, steps, epochs)
        train(*options, *more)
        return out_dir

    return run


@pytest.fixture(scope="session")
def base(toy, pretrain):
    """A base of the toy task, hardly trained."""
    return pretrain(toy / "base_run") / "base"


@pytest.fixture(scope="session")
def adapt(toy, base):
    """Train in the toy base: `adapt(out_dir, *more options)`."""

    def run(out_dir, *more, steps=4, epochs=4):
        method = ["--method", "lora", "--method_conf", "{r: 4, lora_alpha: 8, target: all}"]
        train("--base_model", base, *method, *common(toy, out_dir, steps, epochs), *more)
        return out_dir

    return run


@pytest.fixture(scope="session")
def make_data():
    """`write_data`, for tests."""
    return write_data


@pytest.fixture(scope="session")
def full(toy, base):
    """Fine-tune all of the toy base: `full(out_dir)`."""

    def run(out_dir, *more, steps=4, epochs=1):
        options = common(toy, out_dir, steps, epochs)
        train("--base_model", base, "--method", "full", *options, *more)
        return out_dir

    return run


def common(toy, out_dir, steps, epochs):
    """Options of each toy training."""
    return [
        *("--train_dir", toy / "train", "--valid_dir", toy / "valid", "--output_dir", out_dir),
        *("--num_iters_per_epoch", steps, "--max_epoch", epochs, "--batch_bins", 600),
        *("--optim_conf", "{lr: 0.01, fused: true}", "--scheduler", "linearwarmupdecay"),
        *("--scheduler_conf", "warmup_steps=2", "--specaug_conf", "time_masks=1", "--seed", 7),
    ]


def train(*options):
    """`python -m espnet_peft.bin.train` in this process."""
    from espnet_peft.bin.train import main

    main([str(option) for option in options])
