"""The toy's corpora, and a run of it that tests may copy."""

import io
import shutil
from pathlib import Path

import pytest

from keras_s2s.training import train
from tests.training.toy_runs import configuration, write_pairs


@pytest.fixture(scope="package")
def corpora(tmp_path_factory):
    root = tmp_path_factory.mktemp("digits")
    return {
        "train": {"pairs": write_pairs(root / "train.tsv", 3000, 1)},
        "valid": {"pairs": write_pairs(root / "valid.tsv", 60, 2)},
    }


@pytest.fixture(scope="package")
def trained(corpora, tmp_path_factory):
    """(run directory, figures, what was said) of a whole training."""
    run, said = tmp_path_factory.mktemp("runs") / "toy", io.StringIO()
    figures = train(configuration(corpora), run, stream=said)
    return run, figures, said.getvalue()


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained[0], tmp_path / "run"))
