"""Protocol buffer messages of client and server, compatible with TensorFlow Serving's.

The messages are declared field by field and built on import, in a separate descriptor pool.
They need no generated code, which protobuf ties to one major version, and do not conflict with
the messages that TensorFlow registers in the same process. A test compares every field with
`tensorflow_serving`. Fields that neither side uses are omitted: the wire format skips unknown
fields.
"""

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

__all__ = [
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "ModelSpec",
    "PredictRequest",
    "PredictResponse",
    "SignatureDef",
    "SignatureDefMap",
    "TensorProto",
]

PACKAGE = "keras_s2s.serving"

# Message: ((number, field, type), ...). `[x]` is repeated, `{x}` a map from string to x, `x?` a
# member of the message's oneof `choice`. Enumerations are declared as int32.
_MESSAGES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Dimension": ((1, "size", "int64"), (2, "name", "string")),
    "TensorShape": ((2, "dim", "[Dimension]"), (3, "unknown_rank", "bool")),
    "TensorProto": (
        (1, "dtype", "int32"),
        (2, "tensor_shape", "TensorShape"),
        (4, "tensor_content", "bytes"),
        (5, "float_val", "[float]"),
        (6, "double_val", "[double]"),
        (7, "int_val", "[int32]"),
        (8, "string_val", "[bytes]"),
        (9, "scomplex_val", "[float]"),
        (10, "int64_val", "[int64]"),
        (11, "bool_val", "[bool]"),
        (12, "dcomplex_val", "[double]"),
        (13, "half_val", "[int32]"),
        (16, "uint32_val", "[uint32]"),
        (17, "uint64_val", "[uint64]"),
    ),
    "Int64Value": ((1, "value", "int64"),),
    "ModelSpec": (
        (1, "name", "string"),
        (2, "version", "Int64Value?"),
        (4, "version_label", "string?"),
        (3, "signature_name", "string"),
    ),
    "PredictRequest": (
        (1, "model_spec", "ModelSpec"),
        (2, "inputs", "{TensorProto}"),
        (3, "output_filter", "[string]"),
    ),
    "PredictResponse": ((1, "outputs", "{TensorProto}"), (2, "model_spec", "ModelSpec")),
    "TensorInfo": (
        (1, "name", "string"),
        (2, "dtype", "int32"),
        (3, "tensor_shape", "TensorShape"),
    ),
    "SignatureDef": (
        (1, "inputs", "{TensorInfo}"),
        (2, "outputs", "{TensorInfo}"),
        (3, "method_name", "string"),
        (4, "defaults", "{TensorProto}"),
    ),
    "SignatureDefMap": ((1, "signature_def", "{SignatureDef}"),),
    "Any": ((1, "type_url", "string"), (2, "value", "bytes")),
    "GetModelMetadataRequest": (
        (1, "model_spec", "ModelSpec"),
        (2, "metadata_field", "[string]"),
    ),
    "GetModelMetadataResponse": ((1, "model_spec", "ModelSpec"), (2, "metadata", "{Any}")),
    "GetModelStatusRequest": ((1, "model_spec", "ModelSpec"),),
    "Status": ((1, "error_code", "int32"), (2, "error_message", "string")),
    "ModelVersionStatus": (
        (1, "version", "int64"),
        (2, "state", "int32"),
        (3, "status", "Status"),
    ),
    "GetModelStatusResponse": ((1, "model_version_status", "[ModelVersionStatus]"),),
}

_Field = descriptor_pb2.FieldDescriptorProto


def _set_type(field: descriptor_pb2.FieldDescriptorProto, type_name: str) -> None:
    if type_name in _MESSAGES or "." in type_name:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{type_name}"
    else:
        field.type = _Field.Type.Value(f"TYPE_{type_name.upper()}")


def _add_map_entry(message: descriptor_pb2.DescriptorProto, name: str, value_type: str) -> str:
    """Adds the entry message of a map field, which is a repeated message of key and value."""
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    for number, field_name, type_name in ((1, "key", "string"), (2, "value", value_type)):
        field = entry.field.add(name=field_name, number=number, label=_Field.LABEL_OPTIONAL)
        _set_type(field, type_name)
    return f"{message.name}.{entry.name}"


def _add_field(
    message: descriptor_pb2.DescriptorProto, number: int, name: str, declared_type: str
) -> None:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if declared_type.endswith("?"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="choice")
        field.oneof_index = 0
    elif declared_type[0] in "[{":
        field.label = _Field.LABEL_REPEATED
    type_name = declared_type.strip("[]{}?")
    is_map = declared_type[0] == "{"
    _set_type(field, _add_map_entry(message, name, type_name) if is_map else type_name)


def _build() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_s2s/serving/messages.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, *field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _build()

if TYPE_CHECKING:  # a type checker cannot see the fields of classes built at run time

    class _DynamicMessage(Message):
        def __init__(self, **fields: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    class GetModelMetadataRequest(_DynamicMessage): ...

    class GetModelMetadataResponse(_DynamicMessage): ...

    class GetModelStatusRequest(_DynamicMessage): ...

    class GetModelStatusResponse(_DynamicMessage): ...

    class ModelSpec(_DynamicMessage): ...

    class PredictRequest(_DynamicMessage): ...

    class PredictResponse(_DynamicMessage): ...

    class SignatureDef(_DynamicMessage): ...

    class SignatureDefMap(_DynamicMessage): ...

    class TensorProto(_DynamicMessage): ...

else:
    GetModelMetadataRequest = _CLASSES["GetModelMetadataRequest"]
    GetModelMetadataResponse = _CLASSES["GetModelMetadataResponse"]
    GetModelStatusRequest = _CLASSES["GetModelStatusRequest"]
    GetModelStatusResponse = _CLASSES["GetModelStatusResponse"]
    ModelSpec = _CLASSES["ModelSpec"]
    PredictRequest = _CLASSES["PredictRequest"]
    PredictResponse = _CLASSES["PredictResponse"]
    SignatureDef = _CLASSES["SignatureDef"]
    SignatureDefMap = _CLASSES["SignatureDefMap"]
    TensorProto = _CLASSES["TensorProto"]
