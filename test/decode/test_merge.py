"""Jobs of a split decoding become one result."""

import json

import pytest

from espnet_peft.decode.merge import merge_jobs


def make_job(path, utt_ids, audio, seconds):
    """The output of a decode job, written by hand."""
    (path / "1best_recog").mkdir(parents=True)
    for name in ("text", "token", "token_int", "score"):
        rows = "".join(f"{utt_id} {name}_{utt_id}\n" for utt_id in utt_ids)
        (path / "1best_recog" / name).write_text(rows)
    speed = {"utterances": len(utt_ids), "audio_seconds": audio, "decode_seconds": seconds}
    speed |= {"rtf": seconds / audio, "load_seconds": 1.0, "device": "cpu"}
    (path / "speed.json").write_text(json.dumps(speed))
    return path


def test_rows_are_sorted_and_times_are_summed(tmp_path):
    one = make_job(tmp_path / "1", ["b", "d"], 10.0, 1.0)
    two = make_job(tmp_path / "2", ["a", "c"], 30.0, 1.0)
    merge_jobs([one, two], tmp_path / "out")
    assert (tmp_path / "out/text").read_text() == "a text_a\nb text_b\nc text_c\nd text_d\n"
    assert (tmp_path / "out/score").read_text().startswith("a score_a\n")
    speed = json.loads((tmp_path / "out/speed.json").read_text())
    assert (speed["utterances"], speed["audio_seconds"], speed["rtf"]) == (4, 40.0, 0.05)


def test_an_utterance_of_two_jobs_is_an_error(tmp_path):
    one = make_job(tmp_path / "1", ["a", "b"], 1.0, 1.0)
    two = make_job(tmp_path / "2", ["b"], 1.0, 1.0)
    with pytest.raises(ValueError, match="2/1best_recog/text: b was decoded by another job"):
        merge_jobs([one, two], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_job_that_did_not_finish_is_an_error(tmp_path):
    one = make_job(tmp_path / "1", ["a"], 1.0, 1.0)
    with pytest.raises(FileNotFoundError):
        merge_jobs([one, tmp_path / "2"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
