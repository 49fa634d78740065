"""Minimum-cost alignment of token sequences, many utterances at a time.

Two alignments are offered because the two scorers that people compare with differ:

``sclite``
    NIST sclite's: substitution 4, insertion 3, deletion 3. Of equally cheap last edits it takes
    correct/substitution, then insertion, then deletion.
``levenshtein``
    jiwer's (rapidfuzz's): every edit costs 1; common prefixes and suffixes are matched first; then,
    from the end, deletion is taken where it is optimal, insertion where it is the only optimal
    edit or saves a later deletion, and correct/substitution otherwise.

sclite's weights can prefer an insertion and a deletion (6) to two substitutions (8), so that its
error count can be larger than the Levenshtein distance, never smaller.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

COR, SUB, DEL, INS = 1, 2, 3, 4
METHODS = ("sclite", "levenshtein")
_REF_PAD, _HYP_PAD = -1, -2  # different, so that padding never matches
_MAX_CELLS = 1 << 24  # back-pointers held at once, in bytes


class Edit(NamedTuple):
    """One step of an alignment; ``ref`` or ``hyp`` is None where the step consumes none."""

    op: int
    ref: str | None
    hyp: str | None


def align(ref: Sequence[str], hyp: Sequence[str], method: str = "sclite") -> list[Edit]:
    """Align two token sequences and return the edits in order."""
    return pair_up(ref, hyp, align_all([ref], [hyp], method)[0])


def pair_up(ref: Sequence[str], hyp: Sequence[str], ops: np.ndarray) -> list[Edit]:
    """Attach the tokens to the operations that ``align_all`` returned for them."""
    left, right = iter(ref), iter(hyp)
    return [
        Edit(op, None if op == INS else next(left), None if op == DEL else next(right))
        for op in ops.tolist()
    ]


def align_all(
    refs: Sequence[Sequence[str]], hyps: Sequence[Sequence[str]], method: str = "sclite"
) -> list[np.ndarray]:
    """Align every reference with its hypothesis.

    Returns, for each pair, its operations in order: uint8 array of COR, SUB, DEL, INS.
    Raises ValueError where the numbers of references and hypotheses differ.
    """
    if len(refs) != len(hyps):
        raise ValueError(f"alignment: {len(refs)} references but {len(hyps)} hypotheses")
    if method not in METHODS:
        raise ValueError(f"alignment: method '{method}', expected one of {' '.join(METHODS)}")
    ref_ids, hyp_ids = _to_integers(refs, hyps)
    head, tail = [0] * len(refs), [0] * len(refs)
    if method == "levenshtein":
        for k, (ref, hyp) in enumerate(zip(ref_ids, hyp_ids, strict=True)):
            head[k], tail[k] = _common_affixes(ref, hyp)
            ref_ids[k] = ref[head[k] : len(ref) - tail[k]]
            hyp_ids[k] = hyp[head[k] : len(hyp) - tail[k]]
    result: list[np.ndarray] = [np.empty(0, np.uint8)] * len(refs)
    for batch in _batches([len(r) for r in ref_ids], [len(h) for h in hyp_ids]):
        ops = _align_batch([ref_ids[k] for k in batch], [hyp_ids[k] for k in batch], method)
        for k, path in zip(batch, ops, strict=True):
            if head[k] or tail[k]:
                same = np.full(head[k] + tail[k], COR, np.uint8)
                path = np.concatenate([same[: head[k]], path, same[head[k] :]])
            result[k] = path
    return result


def _to_integers(
    refs: Sequence[Sequence[str]], hyps: Sequence[Sequence[str]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Replace tokens by numbers, equal numbers for equal tokens."""
    table: dict[str, int] = {}
    numbers = [
        [[table.setdefault(token, len(table)) for token in tokens] for tokens in side]
        for side in (refs, hyps)
    ]
    return numbers[0], numbers[1]


def _common_affixes(ref: list[int], hyp: list[int]) -> tuple[int, int]:
    """Count the tokens that both sequences begin with, and of the rest those they end with."""
    shorter = min(len(ref), len(hyp))
    head = 0
    while head < shorter and ref[head] == hyp[head]:
        head += 1
    tail = 0
    while tail < shorter - head and ref[-1 - tail] == hyp[-1 - tail]:
        tail += 1
    return head, tail


def _batches(n: list[int], m: list[int]) -> Iterator[list[int]]:
    """Group pairs of similar lengths so that the back-pointers of a group fit in memory."""
    batch: list[int] = []
    longest_ref = longest_hyp = 0
    for k in sorted(range(len(n)), key=lambda k: (n[k] + m[k], n[k])):
        ref, hyp = max(longest_ref, n[k]), max(longest_hyp, m[k])
        if batch and (ref + 1) * (hyp + 1) * (len(batch) + 1) > _MAX_CELLS:
            yield batch
            batch, ref, hyp = [], n[k], m[k]
        batch.append(k)
        longest_ref, longest_hyp = ref, hyp
    if batch:
        yield batch


def _padded(rows: list[list[int]], length: int, value: int) -> np.ndarray:
    """Stack rows of different lengths as columns: (length, number of rows)."""
    out = np.full((length, len(rows)), value, np.int32)
    for k, row in enumerate(rows):
        out[: len(row), k] = row
    return out


def _align_batch(refs: list[list[int]], hyps: list[list[int]], method: str) -> list[np.ndarray]:
    """Fill the cost table by anti-diagonals d = i + j, for all pairs at once, and trace back.

    A cell depends on the cells before it alone, so padding behind a pair never reaches it.
    """
    n, m = max(map(len, refs)), max(map(len, hyps))
    ref = _padded(refs, n, _REF_PAD)
    hyp_reversed = _padded(hyps, m, _HYP_PAD)[::-1]
    sub_cost, gap_cost = (4, 3) if method == "sclite" else (1, 1)
    cost_two_ago = cost_one_ago = np.zeros((n + 1, len(refs)), np.int32)
    back: list[tuple[int, np.ndarray]] = [(0, np.zeros((1, len(refs)), np.uint8))]
    for d in range(1, n + m + 1):
        cost = np.empty((n + 1, len(refs)), np.int32)
        low, high = max(0, d - m), min(n, d)
        ops = np.empty((high - low + 1, len(refs)), np.uint8)
        first, last = max(low, 1), min(high, d - 1)  # the cells with i > 0 and j > 0
        if low == 0:
            cost[0], ops[0] = gap_cost * d, INS
        if high == d:
            cost[d], ops[d - low] = gap_cost * d, DEL
        if first <= last:
            differs = ref[first - 1 : last] != hyp_reversed[m - d + first : m - d + last + 1]
            diagonal = cost_two_ago[first - 1 : last]
            insertion = cost_one_ago[first : last + 1] + gap_cost
            deletion = cost_one_ago[first - 1 : last] + gap_cost
            inner = slice(first - low, last - low + 1)
            cost[first : last + 1], ops[inner] = _choose(
                diagonal, differs, insertion, deletion, sub_cost, method
            )
        back.append((low, ops))
        cost_two_ago, cost_one_ago = cost_one_ago, cost
    return _trace(back, [len(r) for r in refs], [len(h) for h in hyps])


def _choose(
    diagonal: np.ndarray,
    differs: np.ndarray,
    insertion: np.ndarray,
    deletion: np.ndarray,
    sub_cost: int,
    method: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least cost of each cell and the operation that the method's tie rule picks."""
    straight = diagonal + differs * np.int32(sub_cost)
    gap = np.minimum(insertion, deletion)
    best = np.minimum(straight, gap)
    ops = differs.astype(np.uint8) + np.uint8(COR)  # COR or SUB
    if method == "sclite":
        by_gap = gap < straight
        gap_op = np.where(deletion < insertion, np.uint8(DEL), np.uint8(INS))
        return best, np.where(by_gap, gap_op, ops)
    ops[insertion == diagonal] = INS
    ops[deletion == best] = DEL
    return best, ops


def _trace(back: list[tuple[int, np.ndarray]], n: list[int], m: list[int]) -> list[np.ndarray]:
    """Follow the back-pointers of every pair from its own end."""
    i, j = np.array(n), np.array(m)
    path = np.zeros((len(back), len(n)), np.uint8)
    for d in range(len(back) - 1, 0, -1):
        here = np.flatnonzero(i + j == d)
        if not here.size:
            continue
        low, ops = back[d]
        op = ops[i[here] - low, here]
        path[d, here] = op
        i[here] -= op != INS
        j[here] -= op != DEL
    return [column[column > 0] for column in np.ascontiguousarray(path.T)]
