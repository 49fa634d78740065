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
from espnet_peft.adapters.updates import Group, by_rows, patched
from espnet_peft.adapters.wrap import wrappers


class Mix:
    """Weights of adapters for each row of a batch, and for the encoder of each frame if wanted.

    Made by `AdapterBank.mix`. `with mix:` lets the model's layers use it; it may be entered again
    inside. When it is left, its rows are those that it was made for.

    names: of the adapters in use; n_rows: how many rows it has at the moment.
    """

    def __init__(
        self,
        model: nn.Module,
        pieces: Mapping[str, Pieces],
        weights: Tensor,
        frames: Tensor | None,
        stacks: dict,
        on_enter: Callable[[Mix | None], None],
    ) -> None:
        self.names = tuple(pieces)
        self.stacks = stacks
        self.frames = frames
        self._model = model
        self._pieces = pieces
        self._weights = weights
        self._on_enter = on_enter
        self._depth = 0
        self._patched: list[nn.Module] = []
        self._index: Tensor | None = None
        self._reset()

    def _reset(self) -> None:
        self._index = None
        self.n_rows = len(self._weights)
        self._masks: dict[tuple, Tensor] = {}
        self._runs: list[tuple[int, int, dict[int, float]]] | None = None

    def select(self, index: Tensor) -> None:
        """Make row i what row `index[i]` was; index: (rows,) int64, may repeat and drop rows."""
        index = index.to(self._weights.device)
        self._index = index if self._index is None else self._index[index]
        self.n_rows = len(index)
        self._masks.clear()
        self._runs = None

    @property
    def rows(self) -> Tensor:
        """(rows, adapters) weights of the present rows."""
        return self._weights if self._index is None else self._weights[self._index]

    def runs(self) -> list[tuple[int, int, dict[int, float]]]:
        """Return (start, stop, {adapter's number: weight}) of equal rows in succession."""
        if self._runs is None:
            self._runs = runs_of(self.rows.tolist())
        return self._runs

    def mask(self, layout: tuple[tuple[int, int], ...], by_frame: bool) -> Tensor:
        """Return weights (rows, 1 or T', ranks) for ranks side by side.

        layout: (adapter's number, rank), in order.
        """
        key = layout, by_frame
        if key not in self._masks:
            columns = torch.tensor([column for column, _ in layout], device=self._weights.device)
            ranks = torch.tensor([rank for _, rank in layout], device=self._weights.device)
            columns = columns.repeat_interleave(ranks)
            if by_frame:
                frames = self.frames if self._index is None else self.frames[self._index]
                self._masks[key] = frames[:, :, columns]
            else:
                self._masks[key] = self.rows[:, None, columns]
        return self._masks[key]

    def __enter__(self) -> Mix:
        if self._depth == 0:
            begin_mix(self._model)
            try:
                self._on_enter(self)
                self._patch()
            except BaseException:
                self._leave()
                raise
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._leave()

    def _leave(self) -> None:
        for module in self._patched:
            del module.forward
        self._patched.clear()
        self._reset()
        self._on_enter(None)
        end_mix(self._model)

    def _patch(self) -> None:
        by_frame = reads_speech(self._model) if self.frames is not None else frozenset()
        for target, kinds in groups_of(self._pieces).items():
            module = wrappers(self._model, target)[-1][1]
            updates = [by_rows(self, group, target in by_frame) for group in kinds]
            module.forward = patched(module, updates)
            self._patched.append(module)


def groups_of(pieces: Mapping[str, Pieces]) -> dict[str, list[Group]]:
    """Return the pieces at each module, grouped by kind, in the order in which they work."""
    found: dict[str, dict[tuple[str, bool], Group]] = {}
    for number, own in enumerate(pieces.values()):
        for target, some in own.items():
            kinds = found.setdefault(target, {})
            for piece in some:
                group = kinds.setdefault(piece.kind, Group((target, piece.kind), {}))
                group.pieces[number] = piece
    return {target: [kinds[kind] for kind in sorted(kinds)] for target, kinds in found.items()}


def reads_speech(model: nn.Module) -> frozenset[str]:
    """Return the names of the modules whose input has the encoder's frames."""
    names: set[str] = set()
    for spec in model.layers():
        if spec.side == "encoder":
            names.update(name for some in spec.modules.values() for name in some)
        names.update(spec.source)
    return frozenset(names)


def runs_of(rows: Sequence[Sequence[float]]) -> list[tuple[int, int, dict[int, float]]]:
    """Return (start, stop, {column: weight}) for equal rows in succession; zeros are left out."""
    found: list[tuple[int, int, dict[int, float]]] = []
    start = 0
    for stop in range(1, len(rows) + 1):
        if stop == len(rows) or rows[stop] != rows[start]:
            terms = {column: weight for column, weight in enumerate(rows[start]) if weight}
            if terms:
                found.append((start, stop, terms))
            start = stop
    return found


def check_rows(rows: Iterable[Mapping[str, float]], known: Iterable[str], base: str) -> None:
    """Raise `ValueError` for rows of unknown adapters or of weights that are no shares."""
    known = [*known, base]
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
