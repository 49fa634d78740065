"""Mixed decoders against plain loops over probabilities, without a cache or a batch."""

import itertools

import pytest
import torch

from espnet_peft.decode import SearchOptions, Streams, beam, greedy

WEIGHTS = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.0, 0.5], [0.34, 0.33, 0.33], [0.0, 0.0, 1.0]])


def make_rows(model, speech, n_utts, count, seed=0):
    """Encoder states and prompts of n_utts * count rows: each decoder sees audio of its own."""
    features, lengths = speech(n_utts, seed)
    features = features.repeat_interleave(count, dim=0)
    features = features + 0.5 * torch.randn(features.shape, generator=torch.manual_seed(seed))
    prompts = [model.tokenizer.prompt("ab"[row % count % 2] * 2) for row in range(n_utts * count)]
    enc, enc_lengths = model.encode(features, lengths.repeat_interleave(count))
    return enc, enc_lengths, torch.tensor(prompts)


@torch.no_grad()
def mixed_probabilities(model, enc, enc_lengths, prompts, weights, tokens, forbidden=()):
    """Distribution (V,) after `tokens`, of one utterance: weighted mean of its K decoders'."""
    mixed = torch.zeros(model.dims.n_vocab, dtype=torch.float64)
    for row, weight in enumerate(weights.tolist()):
        text = torch.cat([prompts[row], torch.tensor(tokens, dtype=torch.long)])[None]
        logits = model.decoder(text, enc[row : row + 1], enc_lengths[row : row + 1])[0, -1]
        logits[list(forbidden)] = -torch.inf
        mixed += weight * logits.double().softmax(dim=-1)
    return mixed


def rows_of_one(rows, utt, count):
    return [part[utt * count : (utt + 1) * count] for part in rows]


@pytest.mark.parametrize("seed", range(3))
def test_greedy_against_a_plain_loop(tiny, speech, seed):
    model = tiny(seed=seed, eot_bonus=2.0)
    model.tokenizer.suppress = [2]
    model.tokenizer.suppress_blank = [0, model.tokenizer.eot]
    options = SearchOptions(max_tokens_per_second=40.0)
    rows = make_rows(model, speech, 4, 3, seed)
    found = greedy(model, *rows, options, streams=Streams(WEIGHTS.log()))
    assert len(found) == 4
    for utt, result in enumerate(found):
        own = rows_of_one(rows, utt, 3)
        limit = min(22, max(8, -(-int(own[1][0]) * 40 // 50)))  # of 24 positions, 2 are the prompt
        tokens, score, ended = [], 0.0, False
        while len(tokens) < limit and not ended:
            forbidden = [2] if tokens else [2, 0, model.tokenizer.eot]
            p = mixed_probabilities(model, *own, WEIGHTS[utt], tokens, forbidden)
            score += p.max().log().item()
            ended = p.argmax() == model.tokenizer.eot
            tokens += [] if ended else [int(p.argmax())]
        assert result.tokens == tokens and result.ended == bool(ended)
        assert result.score == pytest.approx(score, abs=1e-4)
    assert len({len(result.tokens) for result in found}) > 1  # rows do leave on the way


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_huge_beam_finds_the_best_of_the_mixture(tiny, speech, alpha):
    model = tiny(n_vocab=5, seed=1, eot_bonus=1.0)
    rows = make_rows(model, speech, 2, 2)
    weights = torch.tensor([[0.6, 0.4], [0.25, 0.75]])
    options = SearchOptions(beam_size=200, length_penalty=alpha, max_length=3)
    found = beam(model, *rows, options, streams=Streams(weights.log()))
    eot, scores = model.tokenizer.eot, {}
    for utt, result in enumerate(found):
        own = rows_of_one(rows, utt, 2)
        scores = {}
        for n in range(4):
            for tokens in itertools.product(range(eot), repeat=n):
                whole = tokens if n == 3 else (*tokens, eot)
                steps = [
                    mixed_probabilities(model, *own, weights[utt], whole[:i])[token]
                    for i, token in enumerate(whole)
                ]
                scores[whole] = torch.stack(steps).log().sum().item()
        best = max(scores, key=lambda tokens: scores[tokens] / len(tokens) ** alpha)
        assert result.tokens == [token for token in best if token != eot]
        assert result.score == pytest.approx(scores[best], abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("count, only", [(1, 0), (3, 1)])
def test_one_decoder_that_counts_is_that_decoder(tiny, speech, beam_size, count, only):
    model = tiny(seed=3, eot_bonus=2.0)
    search = greedy if beam_size == 1 else beam
    options = SearchOptions(beam_size=beam_size, max_tokens_per_second=40.0)
    rows = make_rows(model, speech, 6, count)
    weights = torch.zeros(6, count)
    weights[:, only] = 1.0
    mixed = search(model, *rows, options, streams=Streams(weights.log()))
    alone = search(model, *(part[only::count] for part in rows), options)
    for one, other in zip(mixed, alone, strict=True):
        assert one.tokens == other.tokens and one.ended == other.ended
        assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_batch_changes_nothing(tiny, speech, beam_size):
    model = tiny(seed=3, eot_bonus=2.0)
    search = greedy if beam_size == 1 else beam
    options = SearchOptions(beam_size=beam_size, max_tokens_per_second=40.0)
    rows = make_rows(model, speech, 4, 3)
    together = search(model, *rows, options, streams=Streams(WEIGHTS.log()))
    for utt, result in enumerate(together):
        own = rows_of_one(rows, utt, 3)
        alone = search(model, *own, options, streams=Streams(WEIGHTS[utt : utt + 1].log()))[0]
        assert alone.tokens == result.tokens and alone.ended == result.ended
        assert alone.score == pytest.approx(result.score, abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_adapters_follow_their_rows(tiny, speech, beam_size):
    """What a search does to its rows reaches the mix: its rows are always the decoder's."""

    class Rows:
        def __init__(self, n):
            self.rows = torch.arange(n)

        def select(self, index):
            self.rows = self.rows[index]

    model = tiny(seed=3, eot_bonus=2.0)
    search = greedy if beam_size == 1 else beam
    options = SearchOptions(beam_size=beam_size, max_tokens_per_second=40.0)
    mix, forward, calls = Rows(12), model.decoder.forward, []

    def watched(tokens, enc, enc_lengths, cache):
        logits = forward(tokens, enc, enc_lengths, cache)
        calls.append((len(tokens), mix.rows.tolist(), cache.rows.tolist()))
        return logits

    model.decoder.forward = watched
    rows = make_rows(model, speech, 4, 3)
    search(model, *rows, options, mix=mix, streams=Streams(WEIGHTS.log()))
    assert all(len(rows) == n and rows == kept for n, rows, kept in calls)
    assert calls[-1][0] < max(n for n, _, _ in calls)
