"""An export is proved before it is published: a fresh process gives what this one gives."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from keras_s2s.export import replay
from keras_s2s.export.comparing import NotProven, first_difference
from keras_s2s.export.probes import probes
from keras_s2s.export.scanning import scan
from keras_s2s.export.warmup import WARMUP, read_requests, write_requests

__all__ = ["prove"]

PATIENCE = 120  # seconds, and ten times what this process takes
NAMES = "this process", "the export"


def prove(translator, path, place, material) -> None:
    """Compares an export with the model that it was made from.

    The graph is scanned for what a stock server lacks. Then a process that has seen nothing of
    this one loads the export as TensorFlow Serving does and answers the warm-up requests and the
    `probes`: strings, ids and lengths have to be equal, float values to 1e-4, and every weight
    to the bit.

    Args:
        translator: the `Translator` that was exported.
        path: the SavedModel's directory.
        place: an empty directory for what the two processes tell each other.
        material: `probes.Material` to make requests of.

    Raises:
        NotProven: with the first difference.
    """
    scan(path)
    asked = [*read_requests(Path(path) / WARMUP), *probes(material)]
    place, weights = Path(place), translator.variables()
    write_requests(place / replay.REQUESTS, asked)
    stamps = [replay.stamp(variable.numpy()) for variable in weights]
    (place / replay.WEIGHTS).write_text(json.dumps(stamps))
    with _started(path, place) as process:
        begun = time.monotonic()
        expected = [_in_process(translator, probe) for probe in asked]
        _wait(process, place, asked, PATIENCE + 10 * (time.monotonic() - begun))
    _compare(place, asked, expected)
    _compare_weights(place, weights)


@contextlib.contextmanager
def _started(path, place):
    """The other process; it is ended when this one cannot go on."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    process = subprocess.Popen(
        # `-P`: what lies beside the script must not stand for modules of the same names
        [sys.executable, "-P", replay.__file__, str(path), str(place)],
        env=os.environ | quiet,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,  # Ctrl-C is for this process to handle
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _in_process(translator, probe):
    with tf.device("CPU"):  # where the other process runs: some GPUs round more coarsely
        found = translator.predict(probe.signature, probe.inputs)
    return {name: found[name] for name in probe.outputs or found}


def _wait(process, place, asked, seconds):
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise NotProven(f"the export did not answer within {seconds:.0f} s") from None
    path = place / replay.OUTCOME
    if not path.exists():
        last = " ".join(said.strip().splitlines()[-1:])
        raise NotProven(f"the process that loads the export ended by {process.returncode}: {last}")
    outcome = json.loads(path.read_text())
    if outcome["failure"] is not None:
        number = outcome["answered"]
        signature = asked[min(number, len(asked) - 1)].signature
        raise NotProven(f"the export fails at signature {signature}: {outcome['failure']}")


def _compare(place, asked, expected):
    replies = tf.data.TFRecordDataset(str(place / replay.REPLIES)).as_numpy_iterator()
    for probe, ours, reply in zip(asked, expected, replies, strict=True):
        outputs = predict_pb2.PredictResponse.FromString(reply).outputs
        theirs = {name: tf.make_ndarray(proto) for name, proto in outputs.items()}
        difference = first_difference(probe, ours, theirs)
        if difference:
            raise NotProven(difference.between(*NAMES))


def _compare_weights(place, weights):
    with np.load(place / replay.ODD) as odd:
        for name in odd:
            raise NotProven(_other_weight(name, odd[name], weights))


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
