"""The tables of a made-up experiment, with every number worked out by hand."""

import json

import pytest

from espnet_peft.bin.routing_results import main
from espnet_peft.scoring.collect_routes import greatest

TRUE = {"u1": "en", "u2": "hi", "u3": "hi", "u4": "pa"}
ADAPTERS = {"u1": "base", "u2": "hi", "u3": "hi", "u4": "pa"}


def put(folder, wer, hi=None, languages=TRUE, adapters=ADAPTERS, speed=None, timeline=None):
    """A decoded and scored set; the WER of en is 0."""
    rates = {"wer": wer, "cer": wer / 2, "utterances": 4, "words": {"ref": 40}}
    score = {**rates, "normalise": "basic", "per_language": {}}
    if hi is not None:
        score["per_language"] = {"en": {**rates, "wer": 0.0}, "hi": {**rates, "wer": hi}}
    folder.mkdir(parents=True)
    (folder / "score.json").write_text(json.dumps(score))
    (folder / "speed.json").write_text(json.dumps({"rtf": 0.01, **(speed or {})}))
    for name, table in (("utt2lang", languages), ("utt2adapter", adapters)):
        lines = "".join(f"{key} {value}\n" for key, value in table.items())
        (folder / name).write_text(lines)
    if timeline:
        (folder / "timeline.json").write_text(json.dumps(timeline))


def fill(exp, shift=0.0):
    """Oracle 10 %, hard 11 %, soft 10.5 %, base 80 %, and the same shift for all but the base."""
    put(exp / "base/greedy/test", 0.8, 0.9, adapters=dict.fromkeys(TRUE, "base"))
    put(exp / "lora/greedy/test", 0.1 + shift, 0.15 + shift)
    put(
        exp / "routing/lora/soft/test",
        0.105 + shift,
        0.15 + shift,
        # u2: hi is the greatest; u3: what is missing to 1 is the base's; u1: another prompt
        languages={**TRUE, "u1": "es"},
        adapters={"u1": "base", "u2": "hi:0.45 pa:0.30", "u3": "hi:0.40", "u4": "pa:0.90"},
        speed={"route_ms_per_utterance": 1.25, "route_share": 0.05},
    )
    put(
        exp / "routing/lora/hard/test",
        0.11 + shift,
        0.18 + shift,
        languages={**TRUE, "u3": "pa"},
        adapters={**ADAPTERS, "u3": "pa"},
        speed={"route_ms_per_utterance": 0.5, "route_share": 0.021},
    )
    return exp


def make(tmp_path, *exp_dirs, options=()):
    out = tmp_path / "RESULTS_routing.md"
    main([*(f"--exp_dir={path}" for path in exp_dirs), f"--out={out}", *options])
    return out.read_text(encoding="utf-8")


def rows(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_one_seed(tmp_path, capsys):
    text = make(tmp_path, fill(tmp_path / "exp"), options=["--setting=router=classifier"])
    assert rows(text) == [
        "| Strategy | en | hi | all | Loss | Routed | Routing | Share |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: |",
        "| base | 0.0 | 90.0 | 80.0 | +700.0 % | – | – | – |",
        "| oracle | 0.0 | 15.0 | 10.0 | – | – | – | – |",
        "| hard | 0.0 | 18.0 | 11.0 | +10.0 % | 75.0 % | 0.50 ms | 2.1 % |",
        "| soft | 0.0 | 15.0 | 10.5 | +5.0 % | 50.0 % | 1.25 ms | 5.0 % |",
    ]
    assert "## lora, test\n\n4 utterances, 40 words\n" in text
    assert "- router: classifier\n" in text and "- text normalisation: basic\n" in text
    out = capsys.readouterr().out
    assert "lora, test: 4 utterances, 40 words" in out and "+10.0 %" in out


def test_seeds_are_averaged_before_they_are_compared(tmp_path):
    exps = [fill(tmp_path / f"exp{k}", shift) for k, shift in enumerate((0.0, 0.1))]
    text = make(tmp_path, *exps)
    # Oracle (10 + 20) / 2 = 15, hard (11 + 21) / 2 = 16: 1 / 15 worse.
    assert "| oracle | 0.0 ± 0.0 | 20.0 ± 7.1 | 15.0 ± 7.1 | – |" in text
    assert "| hard | 0.0 ± 0.0 | 23.0 ± 7.1 | 16.0 ± 7.1 | +6.7 % | 75.0 % | 0.50 ms |" in text
    assert "means over 2 seeds" in text
    (exps[1] / "routing/lora/hard/test/score.json").unlink()
    assert "Not scored for every seed: hard of lora on test (1 of 2)." in make(tmp_path, *exps)


def test_other_sets_have_tables_of_their_own(tmp_path):
    exp = fill(tmp_path / "exp")
    put(exp / "lora/greedy/noise", 0.5)
    put(exp / "routing/lora/hierarchical/noise", 0.6)
    put(exp / "routing/lora/other_way/noise", 0.25)
    text = make(tmp_path, exp, options=["--sets=noise"])
    assert rows(text)[2:] == [
        "| oracle | 50.0 | – | – | – | – |",
        "| hierarchical | 60.0 | +20.0 % | 100.0 % | – | – |",
        "| other_way | 25.0 | -50.0 % | 100.0 % | – | – |",
    ]
    assert len(rows(make(tmp_path, exp))) == 6 + 5


def test_without_an_oracle_nothing_is_compared(tmp_path):
    put(tmp_path / "exp/routing/lora/hard/test", 0.5, 0.5)
    assert rows(make(tmp_path, tmp_path / "exp"))[2:] == [
        "| hard | 0.0 | 50.0 | 50.0 | – | – | – | – |"
    ]


def test_mixed_audio(tmp_path):
    exp = tmp_path / "exp"
    switches = {"delay_mean_absolute": 0.25, "within_aim": 0.9, "false_per_minute": 1.5}
    timeline = {"accuracy": 0.95, "switches": switches}
    put(exp / "lora/greedy/cs_segments", 0.2)
    put(exp / "lora/greedy/cs", 0.6)
    put(exp / "routing/lora/hard/cs", 0.5)
    put(exp / "routing/lora/spans/cs", 0.21, timeline=timeline)
    options = ["--sets=cs", "--timelines"]
    assert rows(make(tmp_path, exp, options=options)) == [
        "| Strategy | WER | Loss | Frames | Delay | In time | False |",
        "| :-- | --: | --: | --: | --: | --: | --: |",
        "| alone | 20.0 | – | – | – | – | – |",
        "| oracle | 60.0 | +200.0 % | – | – | – | – |",
        "| hard | 50.0 | +150.0 % | – | – | – | – |",
        "| spans | 21.0 | +5.0 % | 95.0 % | 0.25 s | 90.0 % | 1.50 |",
    ]
    (exp / "lora/greedy/cs_segments/score.json").unlink()
    with pytest.raises(ValueError, match="cs_segments/score.json: not found"):
        make(tmp_path, exp, options=options)


def test_greatest_adapter():
    assert greatest("hi") == "hi"
    assert greatest("base") == "base"
    assert greatest("hi:0.60 pa:0.40") == "hi"
    assert greatest("hi:0.30 pa:0.25") == "base"
    assert greatest("hi:0.50 pa:0.50") == "hi"
    assert greatest("a:b:0.70") == "a:b"
    with pytest.raises(ValueError, match="'hi:much', expected <name> or <name>:<weight>"):
        greatest("hi:much")


def test_bad_input(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such directory"):
        make(tmp_path, tmp_path / "nowhere")
    put(tmp_path / "plain/lora/greedy/test", 0.1)
    with pytest.raises(ValueError, match="no routing/<system>/<strategy>/<set>/score.json"):
        make(tmp_path, tmp_path / "plain")
    exp = fill(tmp_path / "exp")
    with pytest.raises(ValueError, match="given twice"):
        make(tmp_path, exp, exp)
    with pytest.raises(ValueError, match="no routing/<system>/<strategy>/none/score.json"):
        make(tmp_path, exp, options=["--sets=none"])
    with pytest.raises(ValueError, match="--sets: none: no strategy"):
        make(tmp_path, exp, options=["--sets=test none"])
    put(exp / "lora/beam5/test", 0.1)
    with pytest.raises(ValueError, match="lora has scores of test by beam5, greedy; choose one"):
        make(tmp_path, exp)
    make(tmp_path, exp, options=["--decode_tag=greedy"])
    (exp / "routing/lora/hard/test/utt2lang").write_text("u1 en\n")
    with pytest.raises(ValueError, match="hard/test/utt2lang: other utterances than .*decode"):
        make(tmp_path, exp, options=["--decode_tag=greedy"])
    (exp / "routing/lora/hard/test/score.json").write_text("{}")
    with pytest.raises(ValueError, match="no wer cer utterances, expected"):
        make(tmp_path, exp, options=["--decode_tag=greedy"])
