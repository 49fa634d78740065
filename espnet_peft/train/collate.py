"""One batch out of several utterances.

ESPnet's `CommonCollateFn` does the same, but importing it costs 3 to 4 seconds, because its module
imports a text-to-phoneme package.
"""

from __future__ import annotations

import numpy as np
import torch

IGNORED = -1  # pads tokens; the loss skips it


def collate(
    utterances: list[tuple[str, dict[str, np.ndarray]]],
) -> tuple[list[str], dict[str, torch.Tensor]]:
    """Utterance ids, and for each name the padded arrays (B, longest, ...) and `<name>_lengths`.

    Floats are padded with 0, integers with -1.
    """
    utt_ids = [utt_id for utt_id, _ in utterances]
    batch = {}
    for name in utterances[0][1]:
        arrays = [data[name] for _, data in utterances]
        lengths = [len(array) for array in arrays]
        fill = IGNORED if arrays[0].dtype.kind == "i" else 0
        shape = (len(arrays), max(lengths), *arrays[0].shape[1:])
        padded = np.full(shape, fill, dtype=arrays[0].dtype)
        for row, array in zip(padded, arrays, strict=True):
            row[: len(array)] = array
        batch[name] = torch.from_numpy(padded)
        batch[f"{name}_lengths"] = torch.tensor(lengths)
    return utt_ids, batch
