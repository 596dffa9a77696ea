"""Every gRPC status becomes the client's own error, chained to gRPC's."""

from concurrent import futures

import grpc
import pytest

from keras_s2s.serving import Client, ServingError, StartError, errors

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.fixture(scope="module")
def refusing():
    """A server that ends every Predict with the status that the model's name asks for."""
    from tensorflow_serving.apis import predict_pb2

    def refuse(request, context):
        context.abort(grpc.StatusCode[request.model_spec.name], "because")

    handler = grpc.unary_unary_rpc_method_handler(
        refuse, request_deserializer=predict_pb2.PredictRequest.FromString
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
def test_every_status_has_its_own_error(refusing, code):
    with (
        Client(refusing, code.name, timeout=20) as client,
        pytest.raises(errors.CallError, match="because") as caught,
    ):
        client.predict("any", {})
    error = caught.value
    assert type(error) is errors.CALL_ERRORS[code.name]
    assert error.code == code.name
    assert error.details == "because"
    assert (error.address, error.model) == (refusing, code.name)
    assert isinstance(error.__cause__, grpc.RpcError)
    assert error.__cause__.code() is code


def test_no_error_stands_for_two_statuses():
    assert set(errors.CALL_ERRORS) == {code.name for code in CODES}
    assert len(set(errors.CALL_ERRORS.values())) == len(CODES)


def test_the_line_names_address_model_and_code():
    error = errors.NotFound("no such thing", address="localhost:1", model="m")
    assert str(error) == "localhost:1: model 'm': no such thing (NOT_FOUND)"


def test_everything_is_a_serving_error():
    kinds = [getattr(errors, name) for name in errors.__all__ if name != "CALL_ERRORS"]
    assert all(issubclass(kind, ServingError) for kind in kinds)
    assert issubclass(StartError, ValueError)
    assert issubclass(errors.Unavailable, ConnectionError)
    assert issubclass(errors.DeadlineExceeded, TimeoutError)


def test_a_drawing_shows_every_error():
    for name in errors.__all__:
        assert name == "CALL_ERRORS" or name in errors.__doc__


def test_row_error_names_the_first_row_and_counts_the_others():
    error = errors.RowError({2: "too long", 5: "empty"}, [["x"]] * 7)
    assert str(error) == "row 2: too long (and 1 more of 7 rows)"
    assert str(errors.RowError({0: "empty"}, [[]])) == "row 0: empty"
