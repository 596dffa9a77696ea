"""Corpora of the toy task, and a trained run that tests may copy."""

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
    """(run directory, figures, output) of a complete training."""
    run, output = tmp_path_factory.mktemp("runs") / "toy", io.StringIO()
    figures = train(configuration(corpora), run, stream=output)
    return run, figures, output.getvalue()


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained[0], tmp_path / "run"))
