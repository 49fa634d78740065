"""The model that ESPnet trains: a base recogniser, SpecAugment, and decoding in validation."""

from __future__ import annotations

import torch
from espnet2.train.abs_espnet_model import AbsESPnetModel

from espnet_peft.decode import SearchOptions, greedy
from espnet_peft.scoring import edit_counts, normalise
from espnet_peft.train.perturb import Perturb
from espnet_peft.train.specaug import SpecAugment

# Validation stops a hypothesis at this many times the longest reference of its batch plus a few
# tokens: an untrained model that never ends would otherwise fill every position of the decoder.
LENGTH_FACTOR, LENGTH_SLACK = 1.5, 8


class NonFiniteLoss(ValueError):
    """The loss became NaN or infinite: training stops here."""


class PEFTModel(AbsESPnetModel):
    """Train what requires a gradient in `base`, and only that.

    base: a recogniser of `espnet_peft.models` (adapters injected). specaug: masks for training or
    None. perturb: other speakers for training or None. ctc_weight, label_smoothing: as in
    `base.loss`. valid_wer: decode in validation. `step` counts updates; the trainer sets it.
    """

    def __init__(
        self,
        base: torch.nn.Module,
        specaug: SpecAugment | None = None,
        ctc_weight: float = 0.0,
        label_smoothing: float = 0.0,
        valid_wer: bool = True,
        valid_normalise: str = "basic",
        perturb: Perturb | None = None,
    ) -> None:
        super().__init__()
        self.base = base
        self.specaug = specaug
        self.perturb = perturb
        self.ctc_weight = ctc_weight
        self.label_smoothing = label_smoothing
        self.valid_wer = valid_wer
        self.valid_normalise = valid_normalise
        self.step = 0
        tokenizer = base.tokenizer
        lengths = {len(tokenizer.prompt(language)) for language in (tokenizer.languages or [None])}
        if len(lengths) != 1:
            raise ValueError(f"tokenizer: prompts of lengths {sorted(lengths)}, expected one")
        self.prompt_length = lengths.pop()

    def forward(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        utt_id: list[str] | None = None,
    ) -> dict:
        """Loss of a batch, and in evaluation its errors.

        speech: (B, T, n_mels) features or (B, n) samples, lengths (B,) in frames or samples;
        text: (B, U) prompt + tokens + end, padded with -1. Returns ESPnet's `loss`, `stats`,
        `weight`, and `errors` (see `count_errors`) in evaluation. Raises `NonFiniteLoss`.
        """
        if self.training and self.perturb is not None:
            speech, speech_lengths = self.features(speech, speech_lengths)
            speech, speech_lengths = self.perturb(speech, speech_lengths)
        if self.training and self.specaug is not None and self.step >= self.specaug.start_step:
            speech, speech_lengths = self.features(speech, speech_lengths)
            speech = self.specaug(speech, speech_lengths)
        loss, stats = self.base.loss(
            speech,
            speech_lengths,
            text,
            text_lengths,
            self.prompt_length,
            label_smoothing=self.label_smoothing if self.training else 0.0,
            ctc_weight=self.ctc_weight,
        )
        if not torch.isfinite(loss):
            raise NonFiniteLoss(
                self.explain(speech, speech_lengths, text, text_lengths, utt_id or [])
            )
        weight = torch.tensor(float(len(text)), device=loss.device)
        result = {"loss": loss, "stats": stats, "weight": weight}
        if not self.training and self.valid_wer:
            result["errors"] = self.count_errors(speech, speech_lengths, text, text_lengths)
        return result

    def features(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, T, n_mels) and their lengths, of features or of samples."""
        if speech.dim() == 3:
            return speech, lengths
        from espnet_peft.audio import log_mel

        return log_mel(speech, self.base.dims.n_mels), lengths // 160

    @torch.no_grad()
    def transcribe(
        self, speech: torch.Tensor, lengths: torch.Tensor, prompts: torch.Tensor, max_length: int
    ) -> list[str]:
        """Greedy transcriptions of a batch, of at most `max_length` tokens each."""
        enc, enc_lengths = self.base.encode(speech, lengths)
        options = SearchOptions(max_length=max_length)
        hypotheses = greedy(self.base, enc, enc_lengths, prompts, options)
        return [self.base.tokenizer.decode(hypothesis.tokens) for hypothesis in hypotheses]

    def count_errors(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
    ) -> dict[str, tuple[int, int]]:
        """`wer` and `cer` of a batch as (errors, reference length), for sums over a set."""
        longest = int(text_lengths.max()) - self.prompt_length
        prompts = text[:, : self.prompt_length]
        limit = int(LENGTH_FACTOR * longest) + LENGTH_SLACK
        # The first logits come after the prompt, so this many tokens fit behind it.
        room = self.base.dims.n_text_ctx - self.prompt_length
        hyps = self.transcribe(speech, speech_lengths, prompts, min(limit, room))
        refs = [
            self.base.tokenizer.decode(row[self.prompt_length : length].tolist())
            for row, length in zip(text, text_lengths.tolist(), strict=True)
        ]
        hyps = [normalise(text, self.valid_normalise) for text in hyps]
        refs = [normalise(text, self.valid_normalise) for text in refs]
        words, chars = edit_counts(refs, hyps), edit_counts(refs, hyps, "char")
        return {"wer": (words.errors, words.ref), "cer": (chars.errors, chars.ref)}

    @torch.no_grad()
    def explain(self, speech, speech_lengths, text, text_lengths, utt_id: list[str]) -> str:
        """One line that names the utterances which make the loss of a batch NaN or infinite."""
        names = utt_id or [str(row) for row in range(len(text))]
        broken = [n for n, p in self.named_parameters() if not torch.isfinite(p).all()]
        if broken:
            return (
                f"non-finite loss at step {self.step}: {broken[0]} and {len(broken) - 1} more "
                f"weights are NaN or inf after earlier updates; batch: {' '.join(names)}; lower "
                "the learning rate or grad_clip, then go on from the last good checkpoint"
            )
        bad = []
        for row, name in enumerate(names):
            one = slice(row, row + 1)
            n_speech, n_text = int(speech_lengths[row]), int(text_lengths[row])
            loss, _ = self.base.loss(
                speech[one, :n_speech],
                speech_lengths[one],
                text[one, :n_text],
                text_lengths[one],
                self.prompt_length,
                ctc_weight=self.ctc_weight,
            )
            if not torch.isfinite(loss):
                bad.append(name)
        return (
            f"non-finite loss at step {self.step}: utterances {' '.join(bad or names)}; check "
            "their speech and text, or remove them; the last good checkpoint is kept"
        )

    def collect_feats(self, speech: torch.Tensor, speech_lengths: torch.Tensor, **batch) -> dict:
        """Features for ESPnet's statistics."""
        feats, lengths = self.features(speech, speech_lengths)
        return {"feats": feats, "feats_lengths": lengths}

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    def state_dict(self, *args, **kwargs) -> dict[str, torch.Tensor]:
        """Trainable parameters alone: a checkpoint never repeats the frozen base."""
        wanted = self.trainable()
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if name in wanted}

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """Load what `state_dict` saved. Each name and shape must fit, also with `strict=False`.

        Raises `ValueError` that lists what is missing, unexpected or of another shape.
        """
        wanted = self.trainable()
        faults = [f"missing {name}" for name in wanted if name not in state_dict]
        faults += [f"unexpected {name}" for name in state_dict if name not in wanted]
        faults += [
            f"{name}: shape {tuple(value.shape)}, expected {tuple(wanted[name].shape)}"
            for name, value in state_dict.items()
            if name in wanted and value.shape != wanted[name].shape
        ]
        if faults:
            more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
            raise ValueError(
                f"checkpoint: {'; '.join(faults[:5])}{more}; it is of another base, method or "
                "size: use the configuration that it was trained with"
            )
        with torch.no_grad():
            for name, value in state_dict.items():
                wanted[name].copy_(value)
        return torch.nn.modules.module._IncompatibleKeys([], [])
