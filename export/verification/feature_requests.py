"""Requests of frames in place of texts: what a proof asks a model whose source is vectors."""

import numpy as np

__all__ = ["columns", "odd", "random_features"]

ROWS = (5, 1, 9, 3)  # lengths of the sources asked
SEED = 1


def random_features(width: int, count: int | None = None) -> tuple:
    """Some sources, arrays [S, F] of normal numbers, the same at every call."""
    random = np.random.default_rng(SEED)
    sizes = ROWS if count is None else ROWS[:count]
    return tuple(random.normal(size=(size, width)).astype(np.float32) for size in sizes)


def columns(rows, width: int) -> dict[str, np.ndarray]:
    """The inputs `features` [B, S, F] and `length` [B] of arrays [S, F]."""
    lengths = np.array([len(row) for row in rows], np.int32)
    features = np.zeros([len(rows), lengths.max(initial=0), width], np.float32)
    for place, row in enumerate(rows):
        features[place, : len(row)] = row
    return {"features": features, "length": lengths}


def odd(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same inputs with rows that cannot be read, and garbage where no frame is."""
    features, length = inputs["features"].copy(), inputs["length"].copy()
    real = np.arange(features.shape[1]) < length[:, None]
    features[~real] = np.nan  # beyond its length nothing of a row counts
    features[0, 0, 0] = np.inf
    length[1] = features.shape[1] + 1
    length[-1] = -1
    return {"features": features, "length": length}
