"""Searches against an exhaustive enumeration, and a batch against its utterances alone."""

import itertools

import pytest
import torch

from espnet_peft.decode import SearchOptions, beam, greedy


def prompts_of(model, n_rows):
    languages = itertools.cycle(model.tokenizer.languages)
    return torch.tensor([model.tokenizer.prompt(next(languages)) for _ in range(n_rows)])


@torch.no_grad()
def score_all(model, enc, enc_lengths, prompt, max_length):
    """Every complete hypothesis (tokens with eot, or max_length tokens) and its score."""
    eot = model.tokenizer.eot
    others = [token for token in range(model.dims.n_vocab) if token != eot]
    scores = {}
    for n in range(max_length + 1):
        ends = [()] if n == max_length else [(eot,)]
        found = [tokens + end for tokens in itertools.product(others, repeat=n) for end in ends]
        rows = torch.tensor([list(prompt) + list(tokens) for tokens in found])
        logits = model.decoder(
            rows[:, :-1], enc.expand(len(rows), -1, -1), enc_lengths.expand(len(rows))
        )
        gains = logits.log_softmax(-1)[:, len(prompt) - 1 :]
        gains = gains.gather(2, rows[:, len(prompt) :, None]).sum(dim=(1, 2))
        scores.update(zip(found, gains.tolist(), strict=True))
    return scores


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_huge_beam_finds_the_true_best(tiny, speech, seed, alpha):
    model = tiny(n_vocab=5, seed=seed, eot_bonus=1.0)
    enc, enc_lengths = model.encode(*speech(2, seed))
    prompts = prompts_of(model, 2)
    options = SearchOptions(beam_size=300, length_penalty=alpha, max_length=4)
    results = beam(model, enc, enc_lengths, prompts, options)
    for row, result in enumerate(results):
        scores = score_all(model, enc[row], enc_lengths[row], prompts[row].tolist(), 4)
        best = max(scores, key=lambda tokens: scores[tokens] / len(tokens) ** alpha)
        assert result.tokens == [token for token in best if token != model.tokenizer.eot]
        assert result.score == pytest.approx(scores[best], abs=1e-4)
        assert result.ended == (best[-1] == model.tokenizer.eot)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_alone_and_in_a_batch(tiny, speech, beam_size):
    model = tiny(seed=3, eot_bonus=2.0)
    options = SearchOptions(beam_size=beam_size, max_tokens_per_second=40.0)
    search = greedy if beam_size == 1 else beam
    features, lengths = speech(9)
    prompts = prompts_of(model, 9)
    together = search(model, *model.encode(features, lengths), prompts, options)
    for row, result in enumerate(together):
        own = features[row : row + 1, : lengths[row]], lengths[row : row + 1]
        alone = search(model, *model.encode(*own), prompts[row : row + 1], options)[0]
        assert alone.tokens == result.tokens and alone.ended == result.ended
        assert alone.score == pytest.approx(result.score, abs=1e-4)
    assert len({len(result.tokens) for result in together}) > 2
    assert {result.ended for result in together} == {True, False}


def test_beam_of_one_is_greedy(tiny, speech):
    for seed in range(4):
        model = tiny(seed=seed, eot_bonus=2.0)
        enc, enc_lengths = model.encode(*speech(6, seed))
        for one, other in zip(
            beam(model, enc, enc_lengths, prompts_of(model, 6)),
            greedy(model, enc, enc_lengths, prompts_of(model, 6)),
            strict=True,
        ):
            assert one.tokens == other.tokens and one.ended == other.ended
            assert one.score == pytest.approx(other.score, abs=1e-4)


@torch.no_grad()
def test_greedy_score_is_that_of_its_tokens(tiny, speech):
    model = tiny(seed=1, eot_bonus=2.0)
    enc, enc_lengths = model.encode(*speech(4))
    prompts = prompts_of(model, 4)
    for row, result in enumerate(greedy(model, enc, enc_lengths, prompts)):
        tokens = result.tokens + [model.tokenizer.eot] * result.ended
        tokens = torch.cat([prompts[row], torch.tensor(tokens)])[None]
        own = slice(row, row + 1)
        gains = model.decoder(tokens[:, :-1], enc[own], enc_lengths[own]).log_softmax(-1)
        gains = gains.gather(2, tokens[:, 1:, None])[:, prompts.size(1) - 1 :]
        assert gains.sum().item() == pytest.approx(result.score, abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_suppressed_tokens_and_limits(tiny, speech, beam_size):
    model = tiny(seed=2)
    search = greedy if beam_size == 1 else beam
    enc, enc_lengths = model.encode(*speech(5))
    prompts = prompts_of(model, 5)
    model.tokenizer.suppress = [0, 1, 2]
    model.tokenizer.suppress_blank = [3, model.tokenizer.eot]
    for result in search(model, enc, enc_lengths, prompts, SearchOptions(beam_size=beam_size)):
        assert result.tokens and result.tokens[0] != 3
        assert not {0, 1, 2} & set(result.tokens)
        assert len(result.tokens) <= model.dims.n_text_ctx - 2
    options = SearchOptions(beam_size=beam_size, suppress=[model.tokenizer.eot], max_length=5)
    for result in search(model, enc, enc_lengths, prompts, options):
        assert len(result.tokens) == 5 and not result.ended
    with pytest.raises(ValueError, match="suppress: found ids"):
        search(model, enc, enc_lengths, prompts, SearchOptions(suppress=[99]))


def test_no_room_for_the_prompt(tiny, speech):
    model = tiny(n_text_ctx=2)
    with pytest.raises(ValueError, match="prompt of 2 tokens"):
        greedy(model, *model.encode(*speech(1)), prompts_of(model, 1))


def test_finished_rows_leave_the_decoder(tiny, speech, monkeypatch):
    model = tiny(seed=3, eot_bonus=2.0)
    sizes = []
    forward = model.decoder.forward

    def count(tokens, *args):
        sizes.append(len(tokens))
        return forward(tokens, *args)

    monkeypatch.setattr(model.decoder, "forward", count)
    enc, enc_lengths = model.encode(*speech(9))
    options = SearchOptions(max_tokens_per_second=40.0)
    greedy(model, enc, enc_lengths, prompts_of(model, 9), options)
    assert sizes[0] == 9 and sizes[-1] < 4 and sizes == sorted(sizes, reverse=True)
    sizes.clear()
    beam(model, enc, enc_lengths, prompts_of(model, 9), SearchOptions(beam_size=3))
    assert sizes[0] == 9 and 27 >= sizes[1] > sizes[-1]
