"""Proxy variables of the environment: loopback addresses go directly, errors name the proxy."""

import pytest

from keras_s2s.serving import Client, errors
from keras_s2s.serving.client.proxies import describe_proxy, is_loopback
from tests.serving.sleeping_model import make_server

VARIABLES = ["grpc_proxy", "https_proxy", "http_proxy"]
UNREACHABLE = "http://user:secret@127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in (*VARIABLES, "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server, _ = make_server(tmp_path_factory.mktemp("sleeper"))
    with server:
        yield server


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST", "[::ffff:127.0.0.1]"])
def test_loopback_is_called_directly(server, monkeypatch, variable, host):
    monkeypatch.setenv(variable, UNREACHABLE)
    with Client(f"{host}:{server.port}", "sleeper", timeout=20) as client:
        assert client.predict("serving_default", {"text": ["a"]})["text"].tolist() == ["A"]


def test_other_addresses_go_through_the_proxy_and_errors_name_it(monkeypatch):
    monkeypatch.setenv("http_proxy", UNREACHABLE)
    with Client("models.invalid:8500", "m", timeout=20) as client:
        with pytest.raises(errors.Unavailable) as caught:
            client.status()
        assert "through the proxy 127.0.0.1:9 of http_proxy; to connect directly, add" in str(
            caught.value
        )
        assert "models.invalid to no_proxy" in str(caught.value)
        assert "secret" not in str(caught.value).partition("(through")[2]
        monkeypatch.setenv("no_proxy", "example.com,.invalid")
        with pytest.raises(errors.CallError) as caught:
            client.status()
        assert "(through the proxy" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:1", True),
        ("a.localhost:1", True),
        ("127.8.0.1:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", True),
        ("10.0.0.1:1", False),
        ("localhost.example.com:1", False),
        ("models:1", False),
    ],
)
def test_is_loopback(address, expected):
    assert is_loopback(address) is expected


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"grpc_proxy": "http://a:1", "http_proxy": "http://b:2"}, "a:1 of grpc_proxy"),
        ({"https_proxy": "b:2"}, "b:2 of https_proxy"),
        ({"http_proxy": "http://b:2", "no_grpc_proxy": "x", "no_proxy": "10.0.0.7"}, "b:2"),
        ({"http_proxy": "http://b:2", "no_proxy": "10.0.0.0/8"}, ""),
        ({"http_proxy": "http://b:2", "no_proxy": "other, 10.0.0.7"}, ""),
        ({"HTTP_PROXY": "http://b:2"}, ""),
        ({"http_proxy": ""}, ""),
    ],
)
def test_proxy_of_the_environment(variables, named):
    description = describe_proxy("10.0.0.7:8500", variables)
    assert named in description
    assert bool(description) is bool(named)
