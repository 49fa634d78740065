"""The training loss against its definition."""

import pytest
import torch

PROMPT = 4


@pytest.fixture
def batch(miniature):
    torch.manual_seed(0)
    tokenizer = miniature.tokenizer
    prompt = tokenizer.prompt("hi")
    texts = [tokenizer.encode("नमस्ते दुनिया"), tokenizer.encode("hello")]
    rows = [torch.tensor([*prompt, *text, tokenizer.eot]) for text in texts]
    sizes = torch.tensor([len(row) for row in rows])
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
    return torch.randn(2, 90, 80), torch.tensor([90, 60]), tokens, sizes


def test_cross_entropy_counts_text_and_end_alone(miniature, batch):
    speech, lengths, tokens, sizes = batch
    loss, stats = miniature.loss(*batch, PROMPT)
    total, right, count = 0.0, 0, 0
    for i in range(2):
        row = tokens[i : i + 1, : sizes[i]]
        states, size = miniature.encode(speech[i : i + 1, : lengths[i]], lengths[i : i + 1])
        scores = miniature.decoder(row, states, size)[0].log_softmax(-1)
        for position in range(PROMPT, int(sizes[i])):
            total -= scores[position - 1, row[0, position]]
            right += int(scores[position - 1].argmax() == row[0, position])
            count += 1
    torch.testing.assert_close(loss, total / count, atol=1e-5, rtol=1e-5)
    assert stats["acc"] == pytest.approx(right / count)
    assert set(stats) == {"loss", "loss_att", "acc"}


def test_ctc_sees_the_text_alone(miniature, batch):
    speech, lengths, tokens, sizes = batch
    loss, stats = miniature.loss(*batch, PROMPT, ctc_weight=0.3)
    expected = 0.0
    for i in range(2):
        states, size = miniature.encode(speech[i : i + 1, : lengths[i]], lengths[i : i + 1])
        text = tokens[i : i + 1, PROMPT : sizes[i] - 1]
        scores = miniature.ctc(states).log_softmax(-1).transpose(0, 1)
        expected += torch.nn.functional.ctc_loss(
            scores, text, size, torch.tensor([text.shape[1]]), blank=miniature.tokenizer.eot
        )
    torch.testing.assert_close(stats["loss_ctc"], expected.detach() / 2, atol=1e-4, rtol=1e-4)
    mixed = 0.7 * stats["loss_att"] + 0.3 * stats["loss_ctc"]
    torch.testing.assert_close(loss.detach(), mixed)


def test_label_smoothing_is_of_the_uniform_kind(miniature, batch):
    plain, _ = miniature.loss(*batch, PROMPT)
    smooth, _ = miniature.loss(*batch, PROMPT, label_smoothing=0.1)
    assert smooth != plain


def test_ctc_without_a_head_is_refused(miniature, batch):
    miniature.ctc = None
    with pytest.raises(ValueError, match="no CTC head"):
        miniature.loss(*batch, PROMPT, ctc_weight=0.3)


def test_a_miniature_learns_its_batch(miniature, batch):
    miniature.train()
    optimizer = torch.optim.Adam(miniature.parameters(), lr=3e-3)
    first = None
    for _ in range(40):
        loss, _ = miniature.loss(*batch, PROMPT, ctc_weight=0.3)
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * first
