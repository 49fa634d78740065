"""Pictures of a made-up decoded set, through the command."""

import numpy as np
import pytest
import soundfile
import torch

from espnet_peft.bin.plot_codeswitch import main
from espnet_peft.kaldi import write_table
from espnet_peft.kaldi.timeline import Span, write_timeline
from espnet_peft.models import load_base
from espnet_peft.routing.config import RouterConfig
from espnet_peft.routing.heads import Classifier
from espnet_peft.routing.router import Router
from espnet_peft.routing.states import fingerprint_of

SPANS = [Span(0, 0.5, "aa"), Span(0.5, 1.1, "bb")]


@pytest.fixture
def made(tmp_path, base_dir):
    """A router, a data directory of three utterances, and the directory of their decoding."""
    torch.manual_seed(0)
    model = load_base(str(base_dir))
    config = RouterConfig(layers=(0,), channels=8)
    router = Router(Classifier(config, 16, 2), config, ("aa", "bb"), 1.0, 1.0, 0.1)
    router.save(tmp_path / "router", fingerprint_of(model))
    data, decoded = tmp_path / "data", tmp_path / "decoded"
    generator = np.random.default_rng(0)
    wavs = {}
    for utt_id in ("u1", "u2", "u3"):
        wavs[utt_id] = f"{tmp_path}/{utt_id}.wav"
        soundfile.write(wavs[utt_id], generator.normal(0, 0.1, 17600).clip(-1, 1), 16000)
    for folder in (data, decoded):
        folder.mkdir()
        write_timeline(folder / "timeline", dict.fromkeys(wavs, SPANS))
        write_table(folder / "text", dict.fromkeys(wavs, f"text of {folder.name}"))
    write_table(data / "wav.scp", wavs)
    return tmp_path


def plot(made, base_dir, *options):
    main(
        [
            f"--base_model={base_dir}",
            f"--router={made}/router",
            f"--data_dir={made}/data",
            f"--decode_dir={made}/decoded",
            f"--out_dir={made}/figures",
            *options,
        ]
    )
    return sorted(path.name for path in (made / "figures").iterdir())


def test_the_first_utterances_are_drawn(made, base_dir, capsys):
    assert plot(made, base_dir, "--n=2") == ["u1.png", "u1.txt", "u2.png", "u2.txt"]
    assert (made / "figures/u1.png").read_bytes()[:4] == b"\x89PNG"
    text = (made / "figures/u1.txt").read_text()
    assert "ref   text of data" in text and "hyp   text of decoded" in text
    assert "figures/u2.png" in capsys.readouterr().out


def test_named_utterances_are_drawn(made, base_dir):
    assert plot(made, base_dir, "--utts=u3", "--title=spans") == ["u3.png", "u3.txt"]
    assert (made / "figures/u3.txt").read_text().startswith("u3, spans\n")


def test_faults(made, base_dir):
    with pytest.raises(ValueError, match="--n 0: expected at least 1"):
        plot(made, base_dir, "--n=0")
    with pytest.raises(ValueError, match="data/timeline: no utterance u9"):
        plot(made, base_dir, "--utts=u9")
    write_timeline(made / "decoded/timeline", {"u2": SPANS})
    with pytest.raises(ValueError, match="decoded/timeline: no utterance u1"):
        plot(made, base_dir)
    write_table(made / "data/feats.scp", {"u2": "nowhere.ark:3"})
    with pytest.raises(ValueError, match="found feats.scp, expected audio to draw"):
        plot(made, base_dir, "--utts=u2")
    (made / "decoded/timeline").unlink()
    with pytest.raises(FileNotFoundError, match="timeline"):
        plot(made, base_dir)
    assert not (made / "figures").exists()
