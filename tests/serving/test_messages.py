"""The client's messages against those of `tensorflow_serving`, field by field."""

import pytest
from google.protobuf import wrappers_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    status_pb2,
)

from keras_s2s.serving import messages

OTHERS = {
    "Any": Any,
    "Dimension": tensor_shape_pb2.TensorShapeProto.Dim,
    "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
    "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
    "Int64Value": wrappers_pb2.Int64Value,
    "ModelSpec": model_pb2.ModelSpec,
    "ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "SignatureDef": meta_graph_pb2.SignatureDef,
    "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "Status": status_pb2.StatusProto,
    "TensorInfo": meta_graph_pb2.TensorInfo,
    "TensorProto": tensor_pb2.TensorProto,
    "TensorShape": tensor_shape_pb2.TensorShapeProto,
}


def wire_type(field):
    """An enumeration travels as an int32 does."""
    enum = field.type == FieldDescriptor.TYPE_ENUM
    return FieldDescriptor.TYPE_INT32 if enum else field.type


def entry_types(field):
    return [wire_type(part) for part in field.message_type.fields]


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def test_every_message_is_compared():
    assert set(OTHERS) == set(messages._MESSAGES)


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_fields_travel_as_tensorflow_serving_writes_them(name):
    theirs = OTHERS[name].DESCRIPTOR.fields_by_name
    for own in messages._CLASSES[name].DESCRIPTOR.fields:
        other = theirs[own.name]
        assert own.number == other.number
        assert wire_type(own) == wire_type(other)
        assert own.is_repeated == other.is_repeated
        assert is_map(own) == is_map(other)
        assert is_map(own) is False or entry_types(own) == entry_types(other)


def test_a_request_reads_back_as_theirs():
    own = messages.PredictRequest(output_filter=["text"])
    own.model_spec.name = "pronounce"
    own.model_spec.version.value = 7
    own.model_spec.signature_name = "translate"
    own.inputs["text"].string_val.extend([b"a", b"b"])
    theirs = predict_pb2.PredictRequest.FromString(own.SerializeToString())
    assert (theirs.model_spec.name, theirs.model_spec.version.value) == ("pronounce", 7)
    assert theirs.model_spec.signature_name == "translate"
    assert list(theirs.output_filter) == ["text"]
    assert list(theirs.inputs["text"].string_val) == [b"a", b"b"]
    assert messages.PredictRequest.FromString(theirs.SerializeToString()) == own


def test_a_version_and_a_label_exclude_each_other():
    spec = messages.ModelSpec(version_label="stable")
    spec.version.value = 3
    assert spec.WhichOneof("choice") == "version"
    assert spec.version_label == ""
