"""One batch whose rows use different adapters, weighted adapters, or none.

While a mix is entered, the modules that its adapters change compute base and updates in a
`forward` of their own, set on the instance: nothing stands between the modules, no name and no
parameter changes, and afterwards the model is the base to the last bit. The base's part is
computed for the whole batch at once, so that rows without an adapter equal the base's exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from espnet_peft.adapters.active import begin_mix, end_mix
from espnet_peft.adapters.bank_file import Pieces
from espnet_peft.adapters.gather import Gathered, Terms
from espnet_peft.adapters.updates import Group, patched

Stretch = tuple[int, int, int, Tensor]
"""(adapter's number, first frame, end, weights (end - first, 1))"""


class Plan:
    """The modules that a set of adapters changes, and for each the `forward` that does so.

    modules: of the base, by name; pieces: of the adapters, by name; by_frame: whether what reads
    speech has weights by frame; mix: the one that is entered, or None.
    """

    def __init__(
        self,
        model: nn.Module,
        modules: Mapping[str, nn.Module],
        pieces: Mapping[str, Pieces],
        by_frame: bool,
    ) -> None:
        self.model = model
        self.names = tuple(pieces)
        self.mix: Mix | None = None
        speech = reads_speech(model) if by_frame else frozenset()
        self._forwards = []
        for target, groups in groups_of(pieces).items():
            forward = patched(self, modules[target], groups, target in speech)
            self._forwards.append((modules[target], forward))

    def enter(self, mix: Mix) -> None:
        """Let the model use `mix`.

        Errors: `ValueError` where another mix is entered, or an adapter of the model's own works.
        """
        begin_mix(self.model)
        self.mix = mix
        for module, forward in self._forwards:
            vars(module)["forward"] = forward

    def leave(self) -> None:
        """Give the model back."""
        for module, _ in self._forwards:
            del vars(module)["forward"]
        self.mix = None
        end_mix(self.model)


class Mix:
    """Weights of adapters for each row of a batch, and for the encoder of each frame if wanted.

    Made by `AdapterBank.mix`. `with mix:` lets the model's layers use it; it may be entered again
    inside. When it is left, its rows are those that it was made for.

    names: of the adapters in use; n_rows: how many rows it has now; n_frames: how many frames, or
    None; gathered: what modules keep from one step to the next, until rows change their adapters.
    """

    def __init__(
        self,
        plan: Plan,
        weights: Tensor,
        frames: Tensor | None,
        on_change: Callable[[Mix | None], None],
    ) -> None:
        """weights: (B, adapters) on the CPU; frames: (B, T', adapters) where the model is."""
        self.names = plan.names
        self.n_frames = None if frames is None else frames.shape[1]
        self.gathered: dict[Group, Gathered | None] = {}
        self._plan = plan
        self._weights, self._frames = weights, frames
        self._on_change = on_change
        self._depth = 0
        self._reset()

    def _reset(self) -> None:
        self.n_rows = len(self._weights)
        self._index = torch.arange(self.n_rows)
        self._stretches: list[list[Stretch]] | None = None
        self._forget_rows()

    def _forget_rows(self) -> None:
        self.gathered.clear()
        self._terms: list[Terms] | None = None
        self._runs: list[tuple[int, int, Terms]] | None = None

    def select(self, index: Tensor) -> None:
        """Make row i what row `index[i]` was; index: (rows,) int64, may repeat and drop rows."""
        before, self._index = self._index, self._index[index.to(self._index.device)]
        self.n_rows = len(index)
        self._stretches = None
        # A beam search moves rows within their utterance at every step, which changes nothing.
        if not torch.equal(self._weights[before], self._weights[self._index]):
            self._forget_rows()

    def terms(self) -> list[Terms]:
        """Return the (adapter's number, weight) of each row that are not zero."""
        if self._terms is None:
            self._terms = [nonzero(row) for row in self._weights[self._index].tolist()]
        return self._terms

    @property
    def all_adapted(self) -> bool:
        """Whether every row has an adapter."""
        return all(self.terms())

    def runs(self) -> list[tuple[int, int, Terms]]:
        """Return (start, stop, terms) of rows in succession that are alike; none for the base's."""
        if self._runs is None:
            self._runs, start, rows = [], 0, self.terms()
            for stop in range(1, len(rows) + 1):
                if stop == len(rows) or rows[stop] != rows[start]:
                    if rows[start]:
                        self._runs.append((start, stop, rows[start]))
                    start = stop
        return self._runs

    def stretches(self) -> list[list[Stretch]]:
        """Return for each row over which frames each adapter has a part, and which."""
        if self._stretches is None:
            frames = self._frames[self._index.to(self._frames.device)]
            self._stretches = [stretches_of(row) for row in frames]
        return self._stretches

    def __enter__(self) -> Mix:
        if self._depth == 0:
            self._plan.enter(self)
            self._on_change(self)
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._plan.leave()
            self._on_change(None)
            self._reset()


def nonzero(weights: Sequence[float]) -> Terms:
    """Return (number, weight) of the weights that are not zero."""
    return tuple((number, weight) for number, weight in enumerate(weights) if weight)


def stretches_of(frames: Tensor) -> list[Stretch]:
    """Return where the adapters of one row's frames (T', adapters) have a part."""
    used = (frames != 0).cpu()
    found = []
    for number in used.any(dim=0).nonzero().flatten().tolist():
        places = used[:, number].nonzero()
        start, stop = int(places[0]), int(places[-1]) + 1
        found.append((number, start, stop, frames[start:stop, number, None]))
    return found


def groups_of(pieces: Mapping[str, Pieces]) -> dict[str, list[Group]]:
    """Return the pieces at each module, grouped by kind."""
    found: dict[str, dict[tuple[bool, str], Group]] = {}
    for number, own in enumerate(pieces.values()):
        for target, some in own.items():
            kinds = found.setdefault(target, {})
            for piece in some:
                new = Group(target, piece.reads_output, piece.activation)
                kinds.setdefault(piece.kind, new).pieces[number] = piece
    return {target: list(kinds.values()) for target, kinds in found.items()}


def reads_speech(model: nn.Module) -> frozenset[str]:
    """Return the names of the modules whose input has the encoder's frames."""
    names: set[str] = set()
    for spec in model.layers():
        if spec.side == "encoder":
            names.update(name for some in spec.modules.values() for name in some)
        names.update(spec.source)
    return frozenset(names)


def check_rows(rows: Iterable[Mapping[str, float]], known: Iterable[str], base: str) -> None:
    """Raise `ValueError` for rows of unknown adapters or of weights that are no shares."""
    known = dict.fromkeys([*known, base])
    for number, row in enumerate(rows):
        strangers = [name for name in row if name not in known]
        if strangers:
            raise ValueError(
                f"row {number}: adapter {strangers[0]!r} is not known, expected one of: "
                f"{', '.join(known)}"
            )
        shares = list(row.values())
        if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-4:
            raise ValueError(
                f"row {number}: weights {', '.join(f'{x:.6g}' for x in shares)}, expected shares "
                f"of 0 to 1 that sum to at most 1"
            )


def check_frames(frames: Tensor, n_rows: int, n_names: int) -> None:
    """Raise `ValueError` unless frames are shares (n_rows, T', n_names)."""
    if frames.dim() != 3 or frames.shape[0] != n_rows or frames.shape[2] != n_names:
        raise ValueError(
            f"frames: shape {tuple(frames.shape)}, expected ({n_rows}, frames, {n_names}) for the "
            f"batch's rows and the frame_names"
        )
    low, high = frames.min(), frames.sum(dim=2).max()
    if not (torch.isfinite(frames).all() and low >= 0 and high <= 1 + 1e-4):
        raise ValueError(
            f"frames: weights from {low:.6g} with sums up to {high:.6g}, expected shares of 0 to 1 "
            f"that sum to at most 1 in each frame"
        )
