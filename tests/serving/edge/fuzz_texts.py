"""Random inputs for the signatures of a LiteRT file: FILE SEED COUNT.

It runs as a separate process, which a fault of the interpreter may kill.
"""

import sys

import numpy as np

from keras_s2s.serving.edge.edge_file import EdgeFile

INTEGERS = (-(2**31), -(2**31) + 1, -1000, -1, 0, 1, 2, 3, 7, 100, 2**20, 2**31 - 1)
FLOATS = (-np.inf, -1e38, -1.0, -0.0, 0.0, 0.5, 1e-38, 1e38, np.inf, np.nan)
MAX_SIZE = 12


def values(generator, dtype, shape):
    """An array of extreme values, or sometimes of ordinary ones."""
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    pool = FLOATS if dtype.startswith("float") else INTEGERS
    if generator.random() < 0.3:
        return generator.integers(0, 5, shape).astype(dtype)
    return np.array(pool).astype(dtype)[generator.integers(0, len(pool), shape)]


def random_inputs(generator, inputs, shapes):
    """Inputs of a signature, of the given shapes by name or of random shapes."""
    arrays = {}
    for name, (dtype, rank) in inputs.items():
        shape = shapes.get(name) if shapes else None
        if shape is None:
            shape = generator.integers(1, MAX_SIZE, rank)
        arrays[name] = values(generator, dtype, shape)
    return arrays


def main(path, seed, count):
    """Calls random signatures; prints the numbers of answered and of rejected calls."""
    generator, file = np.random.default_rng(int(seed)), EdgeFile(path)
    names, num_answered, num_rejected = list(file.description["signatures"]), 0, 0
    for _ in range(int(count)):
        name = names[generator.integers(len(names))]
        inputs = file.inputs(name)
        rows, width = generator.integers(1, 4, 2)
        shapes = {key: [rows, width][:rank] for key, (_, rank) in inputs.items() if rank < 3}
        shapes |= {"position": [1]} if "position" in inputs else {}
        arrays = random_inputs(generator, inputs, shapes if generator.random() < 0.7 else None)
        sys.stderr.write(f"{name} { {key: value.tolist() for key, value in arrays.items()} }\n")
        try:
            file.run(name, **arrays)
            num_answered += 1
        except (RuntimeError, ValueError):
            num_rejected += 1
    sys.stdout.write(f"{num_answered} {num_rejected}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
