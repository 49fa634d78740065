import random

import numpy as np
import torch

from espnet_peft.audio.batches import make_batches, pad


def test_each_utterance_once_like_lengths_together_and_groups_apart():
    lengths = [random.Random(i).randint(50, 900) for i in range(200)]
    groups = [None if i % 3 else "hi" for i in range(200)]
    batches = make_batches(lengths, 3000, groups)
    assert sorted(i for batch in batches for i in batch) == list(range(200))
    for batch in batches:
        assert max(lengths[i] for i in batch) * len(batch) <= 3000
        assert len({groups[i] for i in batch}) == 1
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)


def test_one_longer_than_a_batch_goes_alone():
    assert make_batches([10, 500, 20], 100) == [[1], [2, 0]]
    assert make_batches([], 100) == []


def test_padding_is_zero_and_lengths_are_kept():
    rows = [np.random.default_rng(n).standard_normal((n, 4)).astype("f4") for n in (3, 7, 1)]
    rows[0].flags.writeable = False
    for pieces in (rows, [torch.from_numpy(row.copy()) for row in rows], [r[:, 0] for r in rows]):
        batch, lengths = pad(pieces)
        assert batch.dtype == torch.float32
        assert lengths.tolist() == [3, 7, 1]
        assert batch.shape == (3, 7, *pieces[0].shape[1:])
        for row, piece in zip(batch, pieces, strict=True):
            assert torch.equal(row[: len(piece)], torch.as_tensor(np.array(piece)))
            assert not row[len(piece) :].any()
