"""Imported models beside OpenNMT-tf itself, which needs an environment of its own.

`OPENNMT_PYTHON=PYTHON tools/test --slow tests/importers`: a Python that has OpenNMT-tf, or one that
TensorFlow 2.13 has wheels for (3.8 to 3.11), from which a virtual environment is made.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keras_s2s import Translator
from keras_s2s.importers.opennmt import read
from keras_s2s.importers.opennmt.run_import import import_run
from tests.importers.opennmt_reference import MODELS, SOURCES, TARGETS
from tests.importers.test_opennmt_runs import OURS, our_logits

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("opennmt_reference.py")
NEEDED = ["OpenNMT-tf==2.32.0", "tensorflow-cpu==2.13.1", "numpy<2", "sentencepiece==0.2.3"]


def has_opennmt(python):
    return subprocess.run([python, "-c", "import opennmt"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The directory written by the reference script."""
    python = os.environ.get("OPENNMT_PYTHON")
    if not python:
        pytest.skip("OPENNMT_PYTHON: expected a Python for OpenNMT-tf, got none")
    directory = tmp_path_factory.mktemp("opennmt")
    if not has_opennmt(python):
        subprocess.run([python, "-m", "venv", directory / "venv"], check=True)
        python = str(directory / "venv" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", *NEEDED], check=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([python, SCRIPT, directory], check=True, env=environment)
    (directory / "config.yml").write_text(
        f"data: {{source_vocabulary: {directory}/v.txt, target_vocabulary: {directory}/v.txt}}"
    )
    return directory


@pytest.mark.parametrize("name", list(MODELS))
def test_logits_and_greedy_output_match_opennmt(theirs, tmp_path, name):
    import_run(theirs / name, tmp_path / "run", read([theirs / "config.yml"]))
    translator, found = Translator.load(tmp_path / "run"), np.load(theirs / f"{name}.npz")
    logits = our_logits(translator, SOURCES, TARGETS).numpy()
    for row, target in enumerate(TARGETS):
        length = len(target.split()) + 1
        expected = found["logits"][row, :length][:, OURS]
        np.testing.assert_allclose(logits[row, :length], expected, atol=1e-4)
    given = translator.decode(SOURCES, beam_size=1, length_penalty=0.0, max_length=12)
    same = [text == one[0].text for text, one in zip(found["texts"], given, strict=True)]
    # theirs may write <blank> and <s>, which a random model does and ours never
    plain = ["<" not in text for text in found["texts"]]
    assert all(s >= p for s, p in zip(same, plain, strict=True))
    for row in np.flatnonzero(same):
        if given[row][0].finished:
            np.testing.assert_allclose(given[row][0].log_prob, found["log_probs"][row], atol=1e-4)
