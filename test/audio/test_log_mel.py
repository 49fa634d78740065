"""Log-mel features against openai-whisper's and librosa's."""

import pytest
import torch

from espnet_peft.audio.log_mel import log_mel, mel_filters


@pytest.mark.parametrize("n_mels", [80, 128])
def test_filters_equal_whispers_and_librosas(n_mels):
    import librosa
    from whisper.audio import mel_filters as whisper_filters

    ours = mel_filters(n_mels)
    torch.testing.assert_close(ours, whisper_filters("cpu", n_mels), atol=1e-7, rtol=1e-5)
    theirs = torch.from_numpy(librosa.filters.mel(sr=16_000, n_fft=400, n_mels=n_mels))
    torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("n", [160, 201, 399, 400, 16_000, 40_123, 40_319, 479_000])
def test_frames_equal_those_of_whispers_window(n, n_mels):
    from whisper.audio import log_mel_spectrogram, pad_or_trim

    torch.manual_seed(n)
    audio = 0.1 * torch.randn(n)
    audio[-1] = 1.0  # a click at the end, which the frames across the end see
    ours = log_mel(audio, n_mels)
    assert ours.shape == (n // 160, n_mels)
    theirs = log_mel_spectrogram(pad_or_trim(audio), n_mels).T
    torch.testing.assert_close(ours, theirs[: n // 160], atol=1e-6, rtol=1e-5)


def test_padded_window_equals_whispers():
    from whisper.audio import log_mel_spectrogram, pad_or_trim

    audio = pad_or_trim(0.1 * torch.randn(70_000))
    torch.testing.assert_close(log_mel(audio), log_mel_spectrogram(audio).T, atol=1e-6, rtol=1e-5)


def test_batch_equals_single_utterances():
    lengths = torch.tensor([30_000, 1_234, 160])
    audio = torch.randn(3, 30_000) * torch.tensor([[1e-3], [1.0], [0.1]])
    batch = log_mel(audio, lengths=lengths)
    for row, x, n in zip(batch, audio, lengths.tolist(), strict=True):
        torch.testing.assert_close(row[: n // 160], log_mel(x[:n]), atol=1e-6, rtol=1e-5)


def test_silence_is_flat():
    assert log_mel(torch.zeros(800)).unique().tolist() == [-1.5]
