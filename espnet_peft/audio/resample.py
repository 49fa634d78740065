"""Change of sampling rate."""

from __future__ import annotations

import numpy as np

RATE = 16_000  # of all audio that models see


def resample(x: np.ndarray, rate_in: int, rate_out: int = RATE) -> np.ndarray:
    """Audio (n,) at `rate_in` as float32 at `rate_out`, band-limited, by libsoxr's high quality."""
    if rate_in == rate_out:
        return np.asarray(x, dtype=np.float32)
    import soxr

    return soxr.resample(np.asarray(x, dtype=np.float32), rate_in, rate_out)
