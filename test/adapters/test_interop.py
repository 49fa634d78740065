"""Files of the LoRA family work in Hugging Face peft, on the Hugging Face twin of the base."""

import warnings

import pytest
import torch

from espnet_peft import adapters

transformers = pytest.importorskip("transformers")
CASES = [
    ("lora", {"r": 4}),
    ("lora", {"r": 4, "use_rslora": True, "target": "qkvo", "side": "decoder"}),
    ("lora", {"r": 4, "use_dora": True, "target": "qv", "layers": "0-1"}),
    ("lora", {"r": 4, "init_lora_weights": "pissa"}),
    ("lora", {"r": 4, "init_lora_weights": "olora", "use_rslora": True}),
    ("adalora", {"total_step": 4, "init_r": 3, "target_r": 2}),
    ("loha", {"r": 4}),
    ("lokr", {"r": 2, "side": "decoder"}),
    ("oft", {"oft_block_size": 8, "target": "attn"}),
    ("miss", {"r": 4, "target": "attn"}),
    ("ia3", {}),
    ("lora", {"r": 4, "target": [r"encoder\..*\.query", r"decoder\.blocks\.1\.mlp\.2"]}),
]


def twin_of(model):
    """Return transformers' Whisper with the weights of `model`."""
    dims = model.dims
    config = transformers.WhisperConfig(
        vocab_size=dims.n_vocab,
        num_mel_bins=dims.n_mels,
        d_model=dims.n_audio_state,
        encoder_layers=dims.n_audio_layer,
        encoder_attention_heads=dims.n_audio_head,
        encoder_ffn_dim=4 * dims.n_audio_state,
        decoder_layers=dims.n_text_layer,
        decoder_attention_heads=dims.n_text_head,
        decoder_ffn_dim=4 * dims.n_text_state,
        max_source_positions=dims.n_audio_ctx,
        max_target_positions=dims.n_text_ctx,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
    )
    twin = transformers.WhisperForConditionalGeneration(config).eval()
    state = {
        model.hf_name(key): value
        for key, value in model.state_dict().items()
        if not key.startswith("ctc.")
    }
    missing, unexpected = twin.load_state_dict(state, strict=False)
    assert set(missing) <= {"proj_out.weight"} and not unexpected
    twin.tie_weights()
    return twin


@pytest.mark.parametrize("case", CASES, ids=str)
def test_peft_loads_our_files(case, make, train, tmp_path):
    from peft import PeftModel

    method, conf = case
    base = make(n_audio_ctx=20)
    twin = twin_of(base)
    speech, tokens = torch.randn(2, 40, 80), torch.randint(4, 40, (2, 6))

    def ours():
        with torch.no_grad():
            return base.decoder(tokens, *base.encode(speech, torch.tensor([40, 40])))

    def theirs(model):
        with torch.no_grad():
            return model(input_features=speech.mT, decoder_input_ids=tokens).logits

    plain = ours()
    assert torch.allclose(theirs(twin), plain, atol=1e-4)
    adapters.inject(base, adapters.make_config(method, conf))
    train(base)
    adapted = ours()
    assert (adapted - plain).abs().max() > 0.01
    adapters.save(base, tmp_path / "adapter", language="hi")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = PeftModel.from_pretrained(twin, tmp_path / "adapter").eval()
    assert torch.allclose(theirs(loaded), adapted, atol=1e-4)
    assert not [str(w.message) for w in caught if "/site-packages/peft/" in str(w.filename)]


def test_peft_refuses_what_it_could_load_only_in_part(make, tmp_path):
    from peft import PeftModel

    base = make(n_audio_ctx=20)
    twin = twin_of(base)
    adapters.inject(base, adapters.make_config("lora+norm", {"lora": {"r": 2}}))
    adapters.save(base, tmp_path / "adapter")
    with pytest.raises((KeyError, ValueError)):
        PeftModel.from_pretrained(twin, tmp_path / "adapter")
