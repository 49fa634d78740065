"""Our Whisper against openai-whisper and transformers, on random weights of real shapes."""

import pytest
import torch

from espnet_peft.models import load_base

TINY = (80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4)
BASE_ENGLISH = (80, 1500, 512, 8, 2, 51864, 448, 512, 8, 2)  # base's shapes, fewer layers
LARGE_V3_NARROW = (128, 1500, 128, 2, 2, 51866, 448, 128, 2, 2)


def random_checkpoint(sizes, path):
    """An OpenAI model with random weights, written as OpenAI writes them."""
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(3)
    dims = ModelDimensions(*sizes)
    theirs = Whisper(dims).eval()
    for parameter in theirs.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)  # no zeros and ones of norms
    torch.nn.init.normal_(theirs.decoder.positional_embedding, std=0.1)
    torch.nn.init.normal_(theirs.decoder.token_embedding.weight, std=0.1)
    torch.save({"dims": vars(dims), "model_state_dict": theirs.state_dict()}, path)
    return theirs


def hf_twin(ours):
    """transformers' model with the same weights."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from espnet_peft.models.hf_dir import DIMS

    sizes = {theirs: getattr(ours.dims, name) for name, theirs in DIMS.items()}
    width = 4 * ours.dims.n_audio_state
    twin = WhisperForConditionalGeneration(
        WhisperConfig(**sizes, encoder_ffn_dim=width, decoder_ffn_dim=width)
    ).eval()
    state = {ours.hf_name(name): tensor for name, tensor in ours.state_dict().items()}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    twin.load_state_dict(state)  # strict: hf_name covers every tensor
    return twin


@pytest.mark.parametrize("sizes", [TINY, BASE_ENGLISH, LARGE_V3_NARROW])
@torch.no_grad()
def test_states_and_logits_equal_both_references(sizes, tmp_path):
    from whisper.audio import log_mel_spectrogram, pad_or_trim

    theirs = random_checkpoint(sizes, tmp_path / "model.pt")
    ours = load_base(str(tmp_path / "model.pt"))
    ours.pad_to = 30
    audio = torch.randn(2, 41_234) * torch.tensor([[0.1], [0.5]])
    lengths = torch.tensor([41_234, 30_321])
    audio[1, 30_321:] = 0
    tokens = torch.randint(0, sizes[5], (2, 9))

    states, state_lengths = ours.encode(audio, lengths)
    logits = ours.decoder(tokens, states, state_lengths)

    # openai-whisper scales by the batch's maximum, so each utterance goes alone
    mel = torch.stack([log_mel_spectrogram(pad_or_trim(row), sizes[0]) for row in audio])
    expected = theirs.encoder(mel)
    torch.testing.assert_close(states, expected, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(logits, theirs.decoder(tokens, expected), atol=2e-3, rtol=1e-3)

    twin = hf_twin(ours)
    hf = twin(input_features=mel, decoder_input_ids=tokens)
    torch.testing.assert_close(states, hf.encoder_last_hidden_state, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(logits, hf.logits, atol=2e-3, rtol=1e-3)


def test_every_file_format_gives_the_same_model(tmp_path):
    from espnet_peft.models import save_base

    random_checkpoint(LARGE_V3_NARROW, tmp_path / "model.pt")
    ours = load_base(str(tmp_path / "model.pt"))
    save_base(ours, tmp_path / "ours")
    twin = hf_twin(ours)
    twin.save_pretrained(tmp_path / "hf")
    twin.save_pretrained(tmp_path / "sharded", max_shard_size="4MB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled/config.json").write_bytes((tmp_path / "hf/config.json").read_bytes())
    torch.save(twin.state_dict(), tmp_path / "pickled/pytorch_model.bin")
    for name in ("ours", "hf", "sharded", "pickled"):
        other = load_base(str(tmp_path / name))
        assert other.base_fingerprint == ours.base_fingerprint
        assert other.tokenizer.vocab_size == ours.dims.n_vocab
        for key, tensor in ours.state_dict().items():
            torch.testing.assert_close(other.state_dict()[key], tensor, atol=1e-7, rtol=0)
