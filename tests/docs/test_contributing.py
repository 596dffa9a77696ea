"""The code of docs/contributing.md."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from keras_s2s.attention import ATTENTIONS
from keras_s2s.models import KINDS
from tests.docs.pages import ROOT, apply_edit, code_blocks, run_section, section

PAGE = "contributing.md"
OPTION_SECTION = "Add a decoding option"
# Runs in the edited copy of the package.
OPTION_CHECK = """
import contextlib
import io

import tensorflow as tf

from keras_s2s import cli, search
from keras_s2s.config import Decoding
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.signatures.option_table import option_table

assert "unknown_penalty" in TRANSLATE.options()
assert Decoding(unknown_penalty=1.5).unknown_penalty == 1.5
assert option_table() in open("docs/serving.md").read()
help_text = io.StringIO()
with contextlib.redirect_stdout(help_text), contextlib.suppress(SystemExit):
    cli.main(["translate", "--help"])
assert "--unknown-penalty X" in help_text.getvalue()

UNKNOWN, END = 1, 3


def begin(source, num_hypotheses, max_length=None):
    return {}, {"unused": tf.zeros([1, num_hypotheses, 1])}


def step(ids, position, context, state, **options):
    # Position 0: the unknown token or, less likely, token 4; then the end.
    first = tf.math.log([1e-9, 0.6, 1e-9, 1e-9, 0.4])
    last = tf.math.log([1e-9, 1e-9, 1e-9, 1.0, 1e-9])
    log_probs = tf.where(tf.equal(position, 0), first, last)
    log_probs = tf.broadcast_to(log_probs, tf.concat([tf.shape(ids), [5]], 0))
    return log_probs, state, None


def best_ids(penalty):
    options = search.Options(
        beam_size=tf.constant([2]),
        num_hypotheses=tf.constant([1]),
        length_penalty=tf.constant([0.0]),
        length_offset=tf.constant([5.0]),
        min_length=tf.constant([0]),
        max_length=tf.constant([3]),
    )
    constraints = search.no_constraints(1)._replace(unknown_penalty=tf.constant([penalty]))
    source = {"ids": tf.constant([[4]]), "mask": tf.constant([[True]])}
    result = search.search(begin, step, source, options, constraints, alignment=False)
    return result.ids[0, 0].numpy().tolist()


assert best_ids(0.0) == [UNKNOWN], best_ids(0.0)
assert best_ids(2.0) == [4], best_ids(2.0)
print("checked")
"""


@pytest.fixture
def registries(monkeypatch):
    """Restores the tables that the page extends."""
    monkeypatch.setitem(KINDS, "decoder", dict(KINDS["decoder"]))
    kinds = dict(ATTENTIONS)
    yield
    ATTENTIONS.clear()
    ATTENTIONS.update(kinds)


@pytest.mark.parametrize("title", ["Add a decoder", "Add an attention", "Add a tokenizer"])
def test_section_runs(title, registries):
    namespace = {"__name__": "contributing"}
    run_section(PAGE, "The check of a part", namespace)
    run_section(PAGE, title, namespace)


def test_every_python_block_is_in_a_section_that_runs():
    titles = ["The check of a part", "Add a decoder", "Add an attention", "Add a tokenizer"]
    count = sum(len(code_blocks(section(PAGE, title), "python")) for title in titles)
    assert count == len(code_blocks((ROOT / "docs" / PAGE).read_text(), "python"))


@pytest.fixture
def package_copy(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("keras_s2s", "export", "serving", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def test_decoding_option(package_copy):
    text = section(PAGE, OPTION_SECTION)
    edits = code_blocks(text, "diff")
    num_lines = sum(apply_edit(package_copy, edit) for edit in edits)
    stated = re.search(r"takes (\d+) lines in (\d+) files", text)
    assert (num_lines, len(edits)) == tuple(map(int, stated.groups()))
    environment = {**os.environ, "PYTHONPATH": str(package_copy), "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, "-c", OPTION_CHECK],
        capture_output=True,
        text=True,
        cwd=package_copy,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("checked\n")


def test_table_of_folders_is_complete():
    table = section(PAGE, "Layout")
    folders = {path.parent.name for path in (ROOT / "keras_s2s").glob("*/__init__.py")}
    missing = [name for name in sorted(folders) if f"{name}/`" not in table]
    assert not missing
