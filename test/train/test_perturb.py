"""Perturbations: what they must leave alone, and what they must do, by hand-made features."""

import pytest
import torch

from espnet_peft.train.perturb import Perturb, make_perturb, warp


def batch():
    torch.manual_seed(0)
    return torch.rand(3, 60, 80), torch.tensor([60, 40, 25])


def test_limits_of_zero_change_nothing():
    feats, lengths = batch()
    found, new = Perturb()(feats, lengths)
    assert new.tolist() == lengths.tolist()
    for row, length in enumerate(lengths):
        torch.testing.assert_close(found[row, :length], feats[row, :length], atol=2e-5, rtol=0)


def test_twice_as_slow_has_each_frame_twice_as_late():
    ramp = torch.arange(20.0)[None, :, None].expand(1, 20, 80)
    found, new = warp(ramp, torch.tensor([20]), torch.ones(1), torch.tensor([2.0]))
    assert new.tolist() == [40]
    torch.testing.assert_close(found[0, :38, 7], torch.arange(38.0) / 2, atol=1e-4, rtol=0)


def test_a_shorter_vocal_tract_moves_a_peak_up():
    feats = torch.zeros(1, 10, 80)
    feats[:, :, 40] = 1.0
    found, _ = warp(feats, torch.tensor([10]), torch.tensor([1.25]), torch.ones(1))
    assert found[0, 5].argmax() == 50


def test_noise_lifts_what_is_quiet_and_leaves_what_is_loud():
    feats = torch.full((1, 10, 80), -1.0)
    feats[:, 5] = 1.0  # 80 dB above the rest
    torch.manual_seed(1)
    found, _ = Perturb(noise=20)(feats, torch.tensor([10]))
    assert (found >= feats - 1e-6).all()
    assert (found[0, 0] > -1.0).all() and (found[0, 5] - 1.0 < 0.02).all()
    assert (found[0, 0] <= 1.0 - 20 / 40 + 1e-6).all()


def test_gain_is_one_level_and_channel_a_smooth_curve():
    feats, lengths = batch()
    found, _ = Perturb(gain=20)(feats, lengths)
    change = found[0, :60] - feats[0]
    assert change.std() < 1e-4 and 0 < change.mean().abs() <= 0.5
    found, _ = Perturb(channel=20)(feats, lengths)
    change = found[0, :60] - feats[0]
    assert change.std(dim=0).max() < 1e-4 and 0 < change.abs().max() <= 0.5
    assert change[0].diff().abs().max() < 0.1


def test_the_seed_decides_and_utterances_differ():
    feats, lengths = batch()
    perturb = Perturb(freq=0.2, time=0.2, gain=10, channel=10, noise=20)
    torch.manual_seed(3)
    one, first = perturb(feats, lengths)
    torch.manual_seed(3)
    two, second = perturb(feats, lengths)
    assert torch.equal(one, two) and torch.equal(first, second)
    assert len(set((first / lengths).tolist())) == 3


@pytest.mark.parametrize(
    "conf, message",
    [
        ({"frequency": 0.1}, "unknown frequency; there are freq time gain channel noise"),
        ({"freq": 0.6}, "expected freq, time 0 to 0.5"),
        ({"gain": -1}, "the others >= 0"),
        ({"noise": 90}, "noise 90, expected 0"),
    ],
)
def test_wrong_settings(conf, message):
    with pytest.raises(ValueError, match=message):
        make_perturb(conf)
    assert make_perturb({}) is None
