"""Gives a LiteRT file nonsense: FILE SEED COUNT; a process of its own, for it may not survive."""

import sys

import numpy as np

from keras_s2s.serving.edge.edge_file import EdgeFile

WHOLE = (-(2**31), -(2**31) + 1, -1000, -1, 0, 1, 2, 3, 7, 100, 2**20, 2**31 - 1)
REAL = (-np.inf, -1e38, -1.0, -0.0, 0.0, 0.5, 1e-38, 1e38, np.inf, np.nan)
MOST = 12  # of a size


def values(generator, dtype, shape):
    """An array of what no caller should give, or now and then of what one would."""
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    pool = REAL if dtype.startswith("float") else WHOLE
    if generator.random() < 0.3:
        return generator.integers(0, 5, shape).astype(dtype)
    return np.array(pool).astype(dtype)[generator.integers(0, len(pool), shape)]


def nonsense(generator, inputs, letters):
    """Inputs of a signature: `letters` hold sizes by input, or None for those of its own."""
    made = {}
    for name, (dtype, rank) in inputs.items():
        shape = letters.get(name) if letters else None
        if shape is None:
            shape = generator.integers(1, MOST, rank)
        made[name] = values(generator, dtype, shape)
    return made


def main(path, seed, count):
    """Asks all signatures; prints how many calls were answered and how many were refused."""
    generator, file = np.random.default_rng(int(seed)), EdgeFile(path)
    names, told = list(file.description["signatures"]), [0, 0]
    for _ in range(int(count)):
        name = names[generator.integers(len(names))]
        inputs = file.inputs(name)
        rows, width = generator.integers(1, 4, 2)
        sizes = {key: [rows, width][:rank] for key, (_, rank) in inputs.items() if rank < 3}
        sizes |= {"position": [1]} if "position" in inputs else {}
        given = nonsense(generator, inputs, sizes if generator.random() < 0.7 else None)
        sys.stderr.write(f"{name} { {key: value.tolist() for key, value in given.items()} }\n")
        try:
            file.run(name, **given)
            told[0] += 1
        except (RuntimeError, ValueError):
            told[1] += 1
    sys.stdout.write(f"{told[0]} {told[1]}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
