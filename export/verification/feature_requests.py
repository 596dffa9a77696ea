"""Verification requests of features, for models whose source is features rather than text."""

import numpy as np

__all__ = ["malformed_features", "random_features"]

LENGTHS = (5, 1, 9, 3)
SEED = 1


def random_features(width: int, count: int | None = None) -> tuple[np.ndarray, ...]:
    """Returns some sources, arrays [S, F] of normal numbers, the same at every call."""
    random = np.random.default_rng(SEED)
    lengths = LENGTHS if count is None else LENGTHS[:count]
    return tuple(random.normal(size=(length, width)).astype(np.float32) for length in lengths)


def malformed_features(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a copy of `features` and `length` with malformed rows, and NaN as padding."""
    features, length = inputs["features"].copy(), inputs["length"].copy()
    is_real = np.arange(features.shape[1]) < length[:, None]
    features[~is_real] = np.nan  # the padding of a row must have no effect
    features[0, 0, 0] = np.inf
    length[1] = features.shape[1] + 1
    length[-1] = -1
    return {"features": features, "length": length}
