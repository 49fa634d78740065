"""Searches against openai-whisper's and transformers' on the same random weights."""

from types import SimpleNamespace

import pytest
import torch

from espnet_peft.decode import SearchOptions, beam, greedy
from espnet_peft.models import Dims, Whisper

SIZES = dict(
    n_mels=80,
    n_audio_ctx=1500,
    n_audio_state=64,
    n_audio_head=2,
    n_audio_layer=1,
    n_text_ctx=448,
    n_text_state=64,
    n_text_head=2,
    n_text_layer=2,
)


def sharpen(decoder, eot, bonus):
    """Make random predictions surer and more varied, and end-of-text likelier."""
    with torch.no_grad():
        decoder.positional_embedding.normal_(std=2.0)
        decoder.token_embedding.weight.normal_(std=0.6)
        for parameter in decoder.blocks.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
        direction = decoder.token_embedding.weight[eot]
        decoder.ln.bias.copy_(bonus * direction / direction.square().sum())


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("beam_size", [1, 5])
def test_same_tokens_as_openai_whisper(seed, beam_size):
    from whisper.decoding import DecodingOptions, DecodingTask
    from whisper.model import ModelDimensions
    from whisper.model import Whisper as OpenAIWhisper

    torch.manual_seed(seed)
    reference = OpenAIWhisper(ModelDimensions(n_vocab=51865, **SIZES)).eval()
    eot = 50257
    sharpen(reference.decoder, eot, bonus=22.0)
    task = DecodingTask(
        reference,
        DecodingOptions(
            language="hi",
            without_timestamps=True,
            fp16=False,
            beam_size=beam_size if beam_size > 1 else None,
            length_penalty=0.0,
            sample_len=30,
        ),
    )
    mel = torch.randn(6, 80, 3000).clamp(-1, 1)
    # openai-whisper's beams need one utterance at a time
    expected = [task.run(mel[row : row + 1])[0] for row in range(len(mel))]

    blank, rest = task.logit_filters
    tokenizer = SimpleNamespace(
        eot=eot,
        suppress=list(rest.suppress_tokens),
        suppress_blank=[*task.tokenizer.encode(" "), eot],
    )
    model = Whisper(Dims(n_vocab=51865, **SIZES), tokenizer).eval()
    model.load_state_dict(reference.state_dict())
    model.pad_to = 30
    enc, enc_lengths = model.encode(mel.transpose(1, 2), torch.full((6,), 3000))
    prompts = torch.tensor([task.initial_tokens] * 6)
    options = SearchOptions(beam_size=beam_size, length_penalty=0.0, max_length=30)
    search = greedy if beam_size == 1 else beam
    results = search(model, enc, enc_lengths, prompts, options)
    assert [result.tokens for result in results] == [theirs.tokens for theirs in expected]
    for result, theirs in zip(results, expected, strict=True):
        # openai-whisper reports the mean over tokens and end-of-text
        mean = result.score / (len(result.tokens) + 1)
        assert mean == pytest.approx(theirs.avg_logprob, abs=1e-4)
    assert any(result.ended and result.tokens for result in results)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_same_tokens_as_transformers(tiny, seed, beam_size, alpha):
    from transformers import GenerationMixin, WhisperConfig, WhisperForConditionalGeneration
    from transformers.modeling_outputs import BaseModelOutput

    model = tiny(n_vocab=20, seed=seed, eot_bonus=2.0)
    dims = model.dims
    eot = model.tokenizer.eot
    config = WhisperConfig(
        vocab_size=dims.n_vocab,
        d_model=dims.n_text_state,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=4 * dims.n_text_state,
        decoder_ffn_dim=4 * dims.n_text_state,
        max_target_positions=dims.n_text_ctx,
        pad_token_id=eot,
        eos_token_id=eot,
        bos_token_id=eot,
        decoder_start_token_id=eot - 1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    twin = WhisperForConditionalGeneration(config).eval()
    state = {model.hf_name(name): value for name, value in model.state_dict().items()}
    missing, unexpected = twin.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"proj_out.weight"}
    twin.tie_weights()

    enc, enc_lengths = model.encode(torch.randn(6, 80, 80), torch.full((6,), 80))
    prompts = torch.tensor([model.tokenizer.prompt("aa")] * 6)
    produced = GenerationMixin.generate(
        twin,
        encoder_outputs=BaseModelOutput(enc),
        decoder_input_ids=prompts,
        num_beams=beam_size,
        do_sample=False,
        length_penalty=alpha,
        early_stopping=True,
        max_new_tokens=15,
    )
    options = SearchOptions(beam_size=beam_size, length_penalty=alpha, max_length=15)
    search = greedy if beam_size == 1 else beam
    results = search(model, enc, enc_lengths, prompts, options)
    expected = [
        [token for token in row[prompts.size(1) :].tolist() if token != eot] for row in produced
    ]
    assert [result.tokens for result in results] == expected
