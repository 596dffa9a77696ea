"""One browser and one TensorBoard for all tests of the page: each takes seconds to start."""

import pytest

from tests.tensorboard.page.browser import chromium, tensorboard, until
from tests.tensorboard.page.runs import index, write_runs


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_runs(folder)
    return folder


@pytest.fixture(scope="session")
def server(logs, tmp_path_factory):
    with tensorboard(logs, tmp_path_factory.mktemp("server")) as address:
        until(lambda: sizes(address) == [5, 5, 1, 5], 60)
        yield address


def sizes(address):
    """How many sentences TensorBoard has read of each run."""
    return list(map(len, index(address).values()))
