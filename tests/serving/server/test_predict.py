"""The Predict call with a fake model: sizes and ranks of inputs; no TensorFlow."""

import numpy as np
import pytest

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.server import status
from keras_s2s.serving.server.predict import predict
from keras_s2s.serving.server.status import StatusError


class EchoModel:
    """Returns its input `text`; the option `prefix` has a default."""

    def __init__(self, dtype="string", shape=(-1,)):
        signature = messages.SignatureDef()
        for name, sizes in (("text", shape), ("prefix", (-1,))):
            info = signature.inputs[name]
            info.name, info.dtype = name, tensor_codec.type_number(dtype)
            info.tensor_shape.unknown_rank = sizes is None
            for size in sizes or ():
                info.tensor_shape.dim.add(size=size)
        tensor_codec.encode(np.array([b""], np.object_), signature.defaults["prefix"])
        signature.outputs["text"].name = "text"
        self.signatures = {"serving_default": signature}
        self.num_runs = 0

    def run(self, feeds, fetches, timeout=None):
        self.num_runs += 1
        return [feeds[fetch] for fetch in fetches]


def request(text, **options):
    message = messages.PredictRequest()
    for name, array in {"text": text, **options}.items():
        tensor_codec.encode(array, message.inputs[name])
    return message


def strings(value):
    return np.array(value, np.object_)


@pytest.mark.parametrize(
    ("shape", "text", "expected"),
    [
        ((-1,), strings(b"a"), "text: expected a vector, got the shape []"),
        ((-1,), strings([[b"a"]]), "text: expected a vector, got the shape [1, 1]"),
        ((-1, 1), strings(b"a"), "text: expected a tensor of rank 2, got the shape []"),
    ],
)
def test_strings_of_another_rank_do_not_reach_the_model(shape, text, expected):
    model = EchoModel(shape=shape)
    with pytest.raises(StatusError) as caught:
        predict(request(text), model)
    assert (caught.value.code, caught.value.message) == (status.INVALID_ARGUMENT, expected)
    assert model.num_runs == 0


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((-1,), strings([b"a", b"b"])),
        ((-1,), strings([])),
        ((-1, 1), strings([b"a"])),  # sent by clients of TensorFlow Serving
        ((), strings(b"a")),
        (None, strings(b"a")),
        ((-1,), np.float32(1)),  # the type is the model's to check
    ],
)
def test_other_shapes_are_left_to_the_model(shape, text):
    model = EchoModel(shape=shape)
    predict(request(np.asarray(text)), model)
    assert model.num_runs == 1


def test_option_with_a_default_may_be_a_scalar():
    model = EchoModel()
    predict(request(strings([b"a"]), prefix=strings(b"b")), model)
    assert model.num_runs == 1


def test_small_message_of_a_large_shape_is_refused():
    message = request(strings([b"a"]))
    message.inputs["text"].tensor_shape.dim[0].size = 2**28
    assert len(message.SerializeToString()) < 50
    model = EchoModel()
    with pytest.raises(StatusError, match="^tensor parsing error: text: expected the values of"):
        predict(message, model)
    assert model.num_runs == 0
