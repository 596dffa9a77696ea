"""What a stock server lacks is found in the graph."""

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_s2s.export import NotProven
from keras_s2s.export.saved_model.serving_compatibility import check_serving_compatibility

TEXT = tf.TensorSpec([None], tf.string, "text")


def saved(path, function, spec=TEXT):
    module = tf.Module()
    module.function = tf.function(function, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(path), {"serving_default": module.function})
    return path


def test_what_a_server_has_passes(tmp_path):
    def function(text):
        kept = tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x + "a"), (0, text))[1]
        return {"text": tf.cond(tf.size(kept) > 1, lambda: kept, lambda: text)}

    check_serving_compatibility(saved(tmp_path, function))


@pytest.mark.parametrize("inside", [False, True])
def test_a_callback_into_python(tmp_path, inside):
    def call(text):
        return tf.ensure_shape(tf.numpy_function(lambda x: x, [text], tf.string), [None])

    def function(text):
        found = tf.while_loop(lambda x: True, call, [text])[0] if inside else call(text)
        return {"text": found}

    with pytest.raises(NotProven, match=r"operation PyFunc \(node .* of function .*\): a callback"):
        check_serving_compatibility(saved(tmp_path, function))


def test_a_function_for_xla_alone(tmp_path):
    inner = tf.function(lambda x: x + 1.0, jit_compile=True, autograph=False)

    def function(x):
        return {"x": inner(x)}

    with pytest.raises(NotProven, match="it must be compiled by XLA, which a stock server has off"):
        check_serving_compatibility(
            saved(tmp_path, function, tf.TensorSpec([None], tf.float32, "x"))
        )


def test_an_operation_of_another_library(tmp_path):
    saved(tmp_path, lambda text: {"text": tf.strings.lower(text)})
    path = tmp_path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            node.op = node.op.replace("StringLower", "Addons>StringLower")
    path.write_bytes(model.SerializeToString())
    message = r"operation Addons>StringLower \(node .*\): neither of TensorFlow nor"
    with pytest.raises(NotProven, match=message):
        check_serving_compatibility(tmp_path)


@pytest.mark.parametrize(
    "output, came",
    [
        (tf.size, "a scalar"),
        (lambda text: tf.constant(["a", "b"]), r"\[2\]"),
        (
            lambda text: tf.reshape(text, tf.random.uniform([tf.size(text)], 1, 2, tf.int32)),
            "one of unknown rank",
        ),
    ],
)
def test_a_tensor_that_no_batch_can_have(tmp_path, output, came):
    message = f"output found: expected the batch, of any size, as the first dimension, came {came}"
    with pytest.raises(NotProven, match=message):
        check_serving_compatibility(saved(tmp_path, lambda text: {"found": output(text)}))


def test_an_input_of_a_fixed_batch(tmp_path):
    spec = tf.TensorSpec([4], tf.string, "text")
    saved(tmp_path, lambda text: {"text": tf.repeat(text, tf.size(text))}, spec)
    with pytest.raises(NotProven, match=r"input text: expected the batch, .*, came \[4\]"):
        check_serving_compatibility(tmp_path)
