"""TensorFlow Serving's stubs against this server: codes, order of checks, messages, responses."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_s2s.serving.server.session import LoadedModel
from keras_s2s.serving.server.status import StatusError
from keras_s2s.signatures import fields as signatures

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
FAILED = grpc.StatusCode.FAILED_PRECONDITION
TEXT = tf.make_tensor_proto(["hello there"])
OPTIONS = ",".join(sorted(signatures.TRANSLATE.options()))
INPUTS = ",".join(sorted(signatures.TRANSLATE.input_names()))
MANY = [f"x{i:02}" for i in range(len(signatures.TRANSLATE.inputs) + 1)]


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model_stub(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def request(inputs=None, outputs=(), **spec):
    message = predict_pb2.PredictRequest(output_filter=outputs)
    version = spec.pop("version", None)
    for key, value in {"name": "shout", **spec}.items():
        setattr(message.model_spec, key, value)
    if version is not None:
        message.model_spec.version.value = version
    for alias, proto in ({"text": TEXT} if inputs is None else inputs).items():
        message.inputs[alias].CopyFrom(proto)
    return message


def call_error(method, message, timeout=20):
    with pytest.raises(grpc.RpcError) as caught:
        method(message, timeout=timeout)
    return caught.value.code(), caught.value.details()


def without_dtype():
    return tensor_pb2.TensorProto()


def negative_size():
    proto = tf.make_tensor_proto(["a"])
    proto.tensor_shape.dim[0].size = -1
    return proto


def truncated_content():
    proto = tf.make_tensor_proto(np.zeros(2, np.float32))
    proto.tensor_content = b"123"
    return proto


TRANSLATE = {"signature_name": "translate"}
PREDICT_ERRORS = [
    ("no spec", predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec"),
    ("no name", request(name=""), INVALID, "ModelSpec has no name specified."),
    (
        "label",
        request(version_label="canary"),
        INVALID,
        "Unrecognized servable version label: canary",
    ),
    (
        "label of an unknown model",
        request(name="other", version_label="canary"),
        INVALID,
        "Unrecognized servable version label: canary",
    ),
    (
        "model",
        request(name="other", signature_name="nope"),
        NOT_FOUND,
        "Servable not found for request: Latest(other)",
    ),
    (
        "version",
        request(version=7, signature_name="nope"),
        NOT_FOUND,
        "Servable not found for request: Specific(shout, 7)",
    ),
    (
        "version of an unknown model",
        request(name="other", version=7),
        NOT_FOUND,
        "Servable not found for request: Specific(other, 7)",
    ),
    (
        "signature",
        request({}, signature_name="nope"),
        FAILED,
        'Serving signature key "nope" not found.',
    ),
    (
        "no inputs",
        request({}),
        INVALID,
        "input size does not match signature: 0!=1 len({}) != len({text})."
        " Sent extra: {}. Missing but required: {text}.",
    ),
    (
        "too many inputs",
        request({"text": without_dtype(), "b": TEXT, "a": TEXT}, outputs=["nope"]),
        INVALID,
        "input size does not match signature: 3!=1 len({a,b,text}) != len({text})."
        " Sent extra: {a,b}. Missing but required: {}.",
    ),
    (
        "too many inputs with defaults",
        request(dict.fromkeys(MANY, TEXT), **TRANSLATE),
        INVALID,
        f"input size does not match signature: {len(MANY)}!={len(MANY) - 1}"
        f" len({{{','.join(MANY)}}}) != len({{{INPUTS}}}). Sent extra: {{{','.join(MANY)}}}."
        f" Missing but required: {{{INPUTS}}}.",
    ),
    (
        "wrong name",
        request({"texts": TEXT}, outputs=["nope"]),
        INVALID,
        "Signature input alias: text(feed name: serving_default_text:0) not found in request and"
        " no default value provided. Inputs expected to be in the request {texts}, or default"
        " input alias set: ",
    ),
    (
        "no text",
        request({"beam_size": tf.make_tensor_proto([3])}, **TRANSLATE),
        INVALID,
        "Signature input alias: text(feed name: translate_text:0) not found in request and no"
        " default value provided. Inputs expected to be in the request {beam_size}, or default"
        f" input alias set: {OPTIONS}",
    ),
    ("no type", request({"text": without_dtype()}), INVALID, "tensor parsing error: text"),
    (
        "negative size",
        request({"text": negative_size()}),
        INVALID,
        "tensor parsing error: text",
    ),
    (
        "short content",
        request({"text": truncated_content()}),
        INVALID,
        "tensor parsing error: text",
    ),
    (
        "unknown name with defaults",
        request({"text": TEXT, "beams": TEXT}, outputs=["nope"], **TRANSLATE),
        INVALID,
        "Inputs contains invalid name. Used request inputs: text, request input: beams,text",
    ),
    (
        "unknown output",
        request(outputs=["nope", "text"]),
        INVALID,
        "output tensor alias not found in signature: nope Outputs expected to be in the set"
        " {score,text}.",
    ),
    (
        "an output twice",
        request({"text": tf.make_tensor_proto([1])}, outputs=["text", "text"]),
        INVALID,
        "duplicate output tensor alias: text",
    ),
    (
        "an output twice, apart",
        request(outputs=["text", "score", "text"]),
        INVALID,
        "duplicate output tensor alias: text",
    ),
    (
        "version zero",
        request(version=0),
        NOT_FOUND,
        "Servable not found for request: Specific(shout, 0)",
    ),
    (
        "wrong type",
        request({"text": tf.make_tensor_proto([1])}),
        INVALID,
        "Expects arg[0] to be string but int32 is provided",
    ),
    (
        "wrong type of the second input",
        request({"text": TEXT, "beam_size": tf.make_tensor_proto([1.5])}, **TRANSLATE),
        INVALID,
        f"Expects arg[{INPUTS.split(',').index('beam_size')}] to be int32 but float is provided",
    ),
]


@pytest.mark.parametrize(
    ("message", "code", "details"), [row[1:] for row in PREDICT_ERRORS], ids=lambda value: ""
)
def test_predict_errors_equal_tensorflow_servings(stub, message, code, details):
    assert call_error(stub.Predict, message) == (code, details)


def test_failing_op_gives_its_code_and_message(stub):
    options = {"text": TEXT, "beam_size": tf.make_tensor_proto([1, 2, 3])}
    code, details = call_error(stub.Predict, request(options, **TRANSLATE))
    assert code is INVALID
    assert "Unable to broadcast tensor of shape [3] to tensor of shape [1]\n\t [[{{" in details
    assert "Graph execution error" not in details
    assert len(details) <= 1024 + len("...TRUNCATED")


def test_shapes_are_not_checked(stub):
    """A scalar is accepted for [B] if the ops broadcast it."""
    scalar = {"text": TEXT, "beam_size": tf.make_tensor_proto(5)}
    plain = stub.Predict(request(**TRANSLATE), timeout=20)
    assert stub.Predict(request(scalar, **TRANSLATE), timeout=20) == plain


def test_response_names_the_version_and_uses_typed_fields(stub):
    response = stub.Predict(request(), timeout=20)
    assert response.model_spec.name == "shout"
    assert response.model_spec.HasField("version")
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"
    assert sorted(response.outputs) == ["score", "text"]
    text, score = response.outputs["text"], response.outputs["score"]
    assert list(text.string_val) == [b"HELLO THERE"]
    assert [dim.size for dim in text.tensor_shape.dim] == [1]
    assert list(score.float_val) == [-0.5]
    assert score.tensor_content == text.tensor_content == b""


def test_output_filter_selects_outputs(stub):
    response = stub.Predict(request(outputs=["lengths", "error"], **TRANSLATE), timeout=20)
    assert sorted(response.outputs) == ["error", "lengths"]
    assert tf.make_ndarray(response.outputs["lengths"]).tolist() == [[2]]
    assert list(response.outputs["error"].string_val) == [b""]


def test_omitted_inputs_use_the_signatures_defaults(stub):
    plain = stub.Predict(request(**TRANSLATE), timeout=20)
    explicit = {
        "text": TEXT,
        "beam_size": tf.make_tensor_proto([5]),
        "length_penalty": tf.make_tensor_proto([0.6]),
    }
    assert stub.Predict(request(explicit, **TRANSLATE), timeout=20) == plain
    explicit["length_penalty"] = tf.make_tensor_proto([0.0])
    assert stub.Predict(request(explicit, **TRANSLATE), timeout=20) != plain


def test_empty_batch_runs(stub):
    empty = tf.make_tensor_proto(np.array([], object), tf.string)
    response = stub.Predict(request({"text": empty}), timeout=20)
    assert [dim.size for dim in response.outputs["text"].tensor_shape.dim] == [0]


def test_version_number_and_empty_label(stub):
    assert stub.Predict(request(version=1), timeout=20).model_spec.version.value == 1
    assert stub.Predict(request(version_label=""), timeout=20).model_spec.version.value == 1


def test_deadline_of_a_call_limits_its_run(stub, monkeypatch):
    def refuse(self, feeds, fetches, timeout):
        raise StatusError(3, f"{timeout:.0f}")

    monkeypatch.setattr(LoadedModel, "run", refuse)
    assert 0 < int(call_error(stub.Predict, request())[1]) <= 20


def test_timeout_ends_the_run(stub):
    slow = request({"steps": tf.make_tensor_proto([2**30])}, signature_name="slow")
    code, _ = call_error(stub.Predict, slow, timeout=0.3)
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED


def metadata_request(name="shout", fields=("signature_def",), **spec):
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    message.model_spec.CopyFrom(request({}, name=name, **spec).model_spec)
    return message


def test_metadata_lists_all_signatures(stub):
    response = stub.GetModelMetadata(metadata_request(), timeout=20)
    assert (response.model_spec.name, response.model_spec.version.value) == ("shout", 1)
    assert response.model_spec.signature_name == ""
    signature_map = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signature_map)
    assert set(signature_map.signature_def) == {
        "__saved_model_init_op",
        "serving_default",
        "slow",
        "translate",
    }
    defaults = signature_map.signature_def["translate"].defaults
    assert ",".join(sorted(defaults)) == OPTIONS


@pytest.mark.parametrize(
    ("message", "code", "details"),
    [
        (get_model_metadata_pb2.GetModelMetadataRequest(), INVALID, "Missing ModelSpec"),
        (
            metadata_request(name="other", fields=()),
            INVALID,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (
            metadata_request(name="", fields=["x"]),
            INVALID,
            "Metadata field x is not supported",
        ),
        (metadata_request(name=""), INVALID, "ModelSpec has no name specified."),
        (
            metadata_request(version_label="x"),
            INVALID,
            "Unrecognized servable version label: x",
        ),
        (
            metadata_request(name="other"),
            NOT_FOUND,
            "Servable not found for request: Latest(other)",
        ),
        (
            metadata_request(version=3),
            NOT_FOUND,
            "Servable not found for request: Specific(shout, 3)",
        ),
    ],
    ids=lambda value: "",
)
def test_metadata_errors_equal_tensorflow_servings(stub, message, code, details):
    assert call_error(stub.GetModelMetadata, message) == (code, details)


def status_request(**spec):
    return get_model_status_pb2.GetModelStatusRequest(model_spec=request({}, **spec).model_spec)


def test_status_lists_versions_and_ignores_labels(model_stub):
    for message in (
        status_request(),
        status_request(version=1),
        status_request(version_label="no"),
    ):
        (version,) = model_stub.GetModelStatus(message, timeout=20).model_version_status
        assert (version.version, version.state) == (1, version.AVAILABLE)
        assert (version.status.error_code, version.status.error_message) == (0, "")


@pytest.mark.parametrize(
    ("message", "code", "details"),
    [
        (get_model_status_pb2.GetModelStatusRequest(), INVALID, "Missing ModelSpec"),
        (
            status_request(name="other"),
            NOT_FOUND,
            "Could not find any versions of model other",
        ),
        (status_request(version=4), NOT_FOUND, "Could not find version 4 of model shout"),
        (
            status_request(name="other", version=4),
            NOT_FOUND,
            "Could not find version 4 of model other",
        ),
    ],
    ids=lambda value: "",
)
def test_status_errors_equal_tensorflow_servings(model_stub, message, code, details):
    assert call_error(model_stub.GetModelStatus, message) == (code, details)


def test_other_calls_are_not_implemented(stub, model_stub):
    message = classification_pb2.ClassificationRequest()
    assert call_error(stub.Classify, message)[0] is grpc.StatusCode.UNIMPLEMENTED
    message = model_management_pb2.ReloadConfigRequest()
    code, _ = call_error(model_stub.HandleReloadConfigRequest, message)
    assert code is grpc.StatusCode.UNIMPLEMENTED
