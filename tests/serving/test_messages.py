"""Messages compared with those of `tensorflow_serving`, field by field."""

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

REFERENCES = {
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
    """The type on the wire, where an enumeration is an int32."""
    enum = field.type == FieldDescriptor.TYPE_ENUM
    return FieldDescriptor.TYPE_INT32 if enum else field.type


def entry_types(field):
    return [wire_type(part) for part in field.message_type.fields]


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def test_every_message_is_compared():
    assert set(REFERENCES) == set(messages._MESSAGES)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_fields_equal_tensorflow_servings(name):
    reference_fields = REFERENCES[name].DESCRIPTOR.fields_by_name
    for field in messages._CLASSES[name].DESCRIPTOR.fields:
        reference = reference_fields[field.name]
        assert field.number == reference.number
        assert wire_type(field) == wire_type(reference)
        assert field.is_repeated == reference.is_repeated
        assert is_map(field) == is_map(reference)
        assert is_map(field) is False or entry_types(field) == entry_types(reference)


def test_request_round_trip_through_tensorflow_serving():
    request = messages.PredictRequest(output_filter=["text"])
    request.model_spec.name = "pronounce"
    request.model_spec.version.value = 7
    request.model_spec.signature_name = "translate"
    request.inputs["text"].string_val.extend([b"a", b"b"])
    reference = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert (reference.model_spec.name, reference.model_spec.version.value) == ("pronounce", 7)
    assert reference.model_spec.signature_name == "translate"
    assert list(reference.output_filter) == ["text"]
    assert list(reference.inputs["text"].string_val) == [b"a", b"b"]
    assert messages.PredictRequest.FromString(reference.SerializeToString()) == request


def test_version_and_label_exclude_each_other():
    spec = messages.ModelSpec(version_label="stable")
    spec.version.value = 3
    assert spec.WhichOneof("choice") == "version"
    assert spec.version_label == ""
