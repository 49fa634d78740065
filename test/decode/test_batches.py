import random

from espnet_peft.decode.batches import make_batches


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
