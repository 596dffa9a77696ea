"""An export is proved before it is published: a fresh process gives what this one gives."""

import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.export.saved_model.serving_compatibility import check_serving_compatibility
from keras_s2s.export.saved_model.warmup import WARMUP, read_requests
from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.export.verification.probe_requests import build_probe_requests
from keras_s2s.export.verification.rounding_ties import find_difference
from keras_s2s.export.verification.session_process import SessionProcess
from keras_s2s.export.verification.session_worker import fingerprint

__all__ = ["TIMEOUT", "run_request", "verify_export"]

TIMEOUT = 120  # seconds, and ten times what this process takes
NAMES = "this process", "the export"


def verify_export(translator, path, place, material, xla=False) -> list[float]:
    """Compares an export with the model that it was made from.

    The graph is scanned for what a stock server lacks. Then a process that has seen nothing of
    this one loads the export as TensorFlow Serving does and answers the warm-up requests and the
    `build_probe_requests`: strings, ids and lengths have to be equal (see `ties`), float values to 1e-4, and
    every weight to the bit.

    Args:
        translator: the `Translator` that was exported.
        path: the SavedModel's directory.
        place: an empty directory for what the two processes tell each other.
        material: `build_probe_requests.Material` to make requests of.
        xla: whether functions may be compiled by XLA.

    Returns:
        Seconds that the other process took for each of the warm-up requests.

    Raises:
        NotProven: with the first difference.
    """

    def answers(probes):
        return [run_request(translator, probe) for probe in probes]

    check_serving_compatibility(path, xla)
    warming = read_requests(Path(path) / WARMUP)
    asked = [*warming, *build_probe_requests(material)]
    weights = translator.variables()
    stamps = [fingerprint(variable.numpy()) for variable in weights]
    with SessionProcess(path, place, asked, stamps) as other:
        begun = time.monotonic()
        ours = answers(asked)
        theirs = other.answers(TIMEOUT + 10 * (time.monotonic() - begun))
        for probe, one, two in zip(asked, ours, theirs, strict=True):
            found = find_difference(probe, one, two, answers)
            if found:
                raise NotProven(found.between(*NAMES))
        for name, value in other.odd_weights().items():
            raise NotProven(_other_weight(name, value, weights))
        return other.seconds[: len(warming)]


def run_request(translator, probe) -> dict:
    """The answer of a `Translator`: arrays by output."""
    with tf.device("CPU"):  # where the other process runs: some GPUs round more coarsely
        found = translator.predict(probe.signature, probe.inputs)
    return {name: found[name] for name in probe.outputs or found}


def _other_weight(name, value, weights):
    """What is wrong with a weight of the export that is none of the model's."""
    mine = [x.numpy() for x in weights if x.name.removesuffix(":0") == name]
    mine = [x for x in mine if x.shape == value.shape and x.dtype == value.dtype]
    if not mine:
        form = f"{value.dtype.name} {list(value.shape)}"
        return f"weight {name} of the export, {form}, is none of the model's"
    place = tuple(int(i) for i in np.argwhere(mine[0] != value)[0])
    ours, theirs = f"{mine[0][place]:.9g}", f"{value[place]:.9g}"
    return f"weight {name}{list(place)}\n  {NAMES[0]}  {ours}\n  {NAMES[1]:12}  {theirs}"
