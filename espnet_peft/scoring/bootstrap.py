"""Bootstrap confidence intervals of error rates over utterances.

Utterances are drawn with replacement and the rate is recomputed as errors over reference tokens
(Bisani and Ney, ICASSP 2004).
"""

import numpy as np

_MAX_DRAWS = 1 << 22  # numbers held at once


def confidence_interval(
    errors: np.ndarray,
    refs: np.ndarray,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the percentile interval of sum(errors) / sum(refs).

    errors, refs: (number of utterances,) counts. Equal input and seed give equal intervals.
    None where there is nothing to draw from: no samples, utterances or reference tokens.
    Raises ValueError for a level outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"bootstrap: level {level}, expected more than 0 and less than 1")
    count = len(errors)
    if samples < 1 or count == 0 or int(np.sum(refs)) == 0:
        return None
    # Utterances with equal counts are alike: draw how often each kind occurs.
    kinds, often = np.unique(
        np.stack([np.asarray(errors), np.asarray(refs)], axis=1), axis=0, return_counts=True
    )
    rng = np.random.default_rng(seed)
    rates: list[np.ndarray] = []
    left = samples
    while left:
        rows = min(left, max(1, _MAX_DRAWS // len(kinds)))
        sums = rng.multinomial(count, often / count, size=rows) @ kinds
        sums = sums[sums[:, 1] > 0]  # a draw of empty references alone has no rate
        rates.append(sums[:, 0] / sums[:, 1])
        left -= rows
    drawn = np.concatenate(rates)
    if not drawn.size:
        return None
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
