"""A version's LiteRT file behind the server: what `session.LoadedModel` is of a SavedModel.

NumPy and ai-edge-litert alone: no TensorFlow is loaded.
"""

import os

import numpy as np

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.edge.predict import EDGE_SIGNATURES
from keras_s2s.serving.edge.translator import EdgeTranslator
from keras_s2s.serving.errors import StartError
from keras_s2s.serving.server import status
from keras_s2s.serving.server.status import StatusError
from keras_s2s.signatures.fields import SERVING_DEFAULT

__all__ = ["MODEL_FILE", "EdgeModel"]

MODEL_FILE = "model.tflite"  # the name that TensorFlow Serving looks for
_METHOD = "tensorflow/serving/predict"
_FAILED = "Failed to invoke TfLite interpreter"  # TensorFlow Serving's


class EdgeModel:
    """The `model.tflite` of a version's directory; threads may share it, one a core at once.

    Args:
        directory: the version's directory, a `Path`.

    Attributes:
        signatures: SignatureDefs by name, as a SavedModel of the same run has them.

    Raises:
        StatusError: if it does not load.
    """

    def __init__(self, directory):
        try:
            self._translator = EdgeTranslator(
                directory / MODEL_FILE, interpreters=os.cpu_count() or 1
            )
        except StartError as error:
            raise _invalid(str(error)) from error
        except ImportError as error:
            message = f"{directory / MODEL_FILE} needs a package: {error}"
            raise StatusError(status.FAILED_PRECONDITION, message) from error
        # Reading it says little of its graphs; a broken one must not replace one that works.
        self._try(directory)
        self.signatures = {
            name: _signature_def(one, self._translator.defaults)
            for name, one in EDGE_SIGNATURES.items()
            if self._translator.offers(name)
        }

    def _try(self, directory):
        text = np.array([b""], np.object_)
        try:
            self._translator.predict(SERVING_DEFAULT.name, {"text": text})
        except Exception as error:  # whatever a damaged file leads to
            raise StatusError(status.DATA_LOSS, f"{directory / MODEL_FILE}: {error}") from error

    def run(self, feeds, fetches, timeout=None) -> list[np.ndarray]:
        """Answers a request.

        Args:
            feeds: arrays by the tensor names of a signature's inputs, [B], strings as object
                arrays of bytes; an option may also be a scalar or [1].
            fetches: names of the tensors wanted, of one signature.
            timeout: seconds, after which the search stops; None is no limit.

        Returns:
            The arrays of `fetches`, in their order.

        Raises:
            StatusError: an input has another type or shape, the time is over, the file failed.
        """
        name = fetches[0].partition("/")[0]
        inputs = _checked(EDGE_SIGNATURES[name], feeds)
        outputs = [fetch.removeprefix(f"{name}/") for fetch in fetches]
        try:
            found = self._translator.predict(name, inputs, outputs, timeout)
        except TimeoutError as error:
            message = "Timed out waiting for notification"  # TensorFlow's
            raise StatusError(status.DEADLINE_EXCEEDED, message) from error
        except ValueError as error:
            raise _invalid(str(error)) from error
        except RuntimeError as error:
            raise StatusError(status.INTERNAL, f"{_FAILED}: {error}") from error
        return [found[output] for output in outputs]

    def close(self) -> None:
        """Frees the memory, once no call is under way."""
        self._translator = None


def _feed(signature, field):
    return f"{signature.name}_{field.name}:0"


def _signature_def(signature, defaults):
    made = messages.SignatureDef(method_name=_METHOD)
    for fields, infos, name in (
        (signature.inputs, made.inputs, _feed),
        (signature.outputs, made.outputs, lambda one, field: f"{one.name}/{field.name}"),
    ):
        for field in fields:
            info = infos[field.name]
            info.name, info.dtype = name(signature, field), tensor_codec.type_number(field.dtype)
            info.tensor_shape.SetInParent()
            for _ in field.shape:
                info.tensor_shape.dim.add(size=-1)
    for name, field in signature.options().items():
        value = tensor_codec.to_array([defaults.get(name, field.default)], name, field.dtype)
        tensor_codec.encode(value, made.defaults[name])
    return made


def _checked(signature, feeds):
    """The inputs by alias, each [B]; whoever interprets the file would trust what it is given."""
    by_name = {_feed(signature, field): field for field in signature.inputs}
    for place, name in enumerate(sorted(feeds)):
        wanted, came = by_name[name].dtype, feeds[name].dtype
        came = "string" if came == np.object_ else came.name
        if came != wanted:
            raise _invalid(
                f"Expects arg[{place}] to be {_c_name(wanted)} but {_c_name(came)} is provided"
            )
    inputs = {by_name[name].name: value for name, value in feeds.items()}
    rows = inputs["text"].shape
    if len(rows) != 1:
        raise _invalid(f"text: expected a vector, came the shape {list(rows)}")
    for name, value in inputs.items():
        if value.ndim > 1 or value.size not in (1, *rows):
            came = f"came the shape {list(value.shape)}"
            raise _invalid(f"{name}: expected one value or one for each of {rows[0]} rows, {came}")
        inputs[name] = np.broadcast_to(value.reshape(-1), rows)
    return inputs


def _c_name(dtype):
    """As TensorFlow's messages call a type."""
    return {"float32": "float", "float64": "double"}.get(dtype, dtype)


def _invalid(message):
    return StatusError(status.INVALID_ARGUMENT, message)
