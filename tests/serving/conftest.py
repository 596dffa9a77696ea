"""Fixtures: a server in this process for a small export, and clients of it."""

import pytest

from keras_s2s.serving import Client


@pytest.fixture(scope="module")
def base_path(tmp_path_factory):
    from tests.serving.models import export

    path = tmp_path_factory.mktemp("shout")
    export(path)
    return path


@pytest.fixture(scope="module")
def server(base_path):
    from keras_s2s.serving import Server

    with Server("shout", base_path, 0, host="127.0.0.1", poll_seconds=0.05) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.address, "shout", timeout=20) as client:
        yield client
