"""What every test starts from: a quiet TensorFlow, one thread a worker, `--slow`."""

import os
import signal

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("MPLBACKEND", "agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # two workers share two cores
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, and only them")


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--slow")
    kept = [item for item in items if ("slow" in item.keywords) == wanted]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(scope="session")
def copying_file(tmp_path_factory):
    """A `Translator` whose model copies, and the directory of the LiteRT file exported of it."""
    from keras_s2s.config import Decoding
    from keras_s2s.export import export_litert_translator
    from tests.export.tiny_models import make_translator

    decoding, parts = Decoding(beam_size=3, max_length=8), ("bigru", "gru", "pointer")
    translator = make_translator(decoding, parts, dictionary={"zz": "g"})
    directory = tmp_path_factory.mktemp("litert")
    return translator, export_litert_translator(translator, directory, pairs=[("a b", "a")])
