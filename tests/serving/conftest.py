"""Fixtures: a server in this process for a small export, and clients of it."""

import shutil
from pathlib import Path

import pytest

from keras_s2s.serving import Client


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Function that returns a copy of the export with some signatures, each written once."""
    from tests.serving import models

    originals = {}

    def copy(signatures=models.FEW):
        if signatures not in originals:
            originals[signatures] = tmp_path_factory.mktemp("original")
            models.export(originals[signatures], signatures=signatures)
        directory = tmp_path_factory.mktemp("copies") / "shout"
        return Path(shutil.copytree(originals[signatures], directory))

    return copy


@pytest.fixture(scope="module")
def base_path(written):
    return written()


@pytest.fixture(scope="module")
def server(base_path):
    from keras_s2s.serving import Server

    with Server("shout", base_path, 0, host="127.0.0.1", poll_seconds=0.05) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.address, "shout", timeout=20) as client:
        yield client
