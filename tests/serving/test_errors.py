"""Errors of the client for every gRPC status."""

from concurrent import futures

import grpc
import pytest

from keras_s2s.serving import Client, ServingError, StartError, errors

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.fixture(scope="module")
def failing_server():
    """A server that ends every Predict with the status in the model's name."""
    from tensorflow_serving.apis import predict_pb2

    def abort(request, context):
        context.abort(grpc.StatusCode[request.model_spec.name], "because")

    handler = grpc.unary_unary_rpc_method_handler(
        abort, request_deserializer=predict_pb2.PredictRequest.FromString
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Predict": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_every_status_has_an_error_class(failing_server, code):
    with (
        Client(failing_server, code.name, timeout=20) as client,
        pytest.raises(errors.CallError, match="because") as caught,
    ):
        client.predict("any", {})
    error = caught.value
    assert type(error) is errors.CALL_ERRORS[code.name]
    assert error.code == code.name
    assert error.details == "because"
    assert (error.address, error.model) == (failing_server, code.name)
    assert isinstance(error.__cause__, grpc.RpcError)
    assert error.__cause__.code() is code


def test_error_classes_are_distinct():
    assert set(errors.CALL_ERRORS) == {code.name for code in CODES}
    assert len(set(errors.CALL_ERRORS.values())) == len(CODES)


def test_message_names_address_model_and_code():
    error = errors.NotFound("not here", address="localhost:1", model="m")
    assert str(error) == "localhost:1: model 'm': not here (NOT_FOUND)"


def test_base_classes():
    classes = [getattr(errors, name) for name in errors.__all__ if name != "CALL_ERRORS"]
    assert all(issubclass(error_class, ServingError) for error_class in classes)
    assert issubclass(StartError, ValueError)
    assert issubclass(errors.Unavailable, ConnectionError)
    assert issubclass(errors.DeadlineExceeded, TimeoutError)


def test_module_docstring_lists_every_error():
    for name in errors.__all__:
        assert name == "CALL_ERRORS" or name in errors.__doc__


def test_row_error_names_the_first_row_and_counts_the_others():
    error = errors.RowError({2: "too long", 5: "empty"}, [["x"]] * 7)
    assert str(error) == "row 2: too long (and 1 more of 7 rows)"
    assert str(errors.RowError({0: "empty"}, [[]])) == "row 0: empty"
