"""Training on several corpora, with filters and the cache."""

import io
import json

import pytest

from keras_s2s.training import train
from tests.training.toy_runs import changed, read_metrics, small_config, write_pairs


@pytest.fixture
def several(tmp_path, corpora):
    """A configuration with two corpora, one of them JSON lines with weights."""
    rows = [{"source": f"{n}-", "target": f"-{n}", "weight": n % 3} for n in range(10, 300)]
    path = tmp_path / "more.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows[-40:]]))
    first = {"pairs": write_pairs(tmp_path / "first.tsv", 500, 3)}
    config = small_config(corpora)
    return changed(
        config,
        data__train=[first, {"pairs": str(path), "weight": 0.5}],
        data__unique=True,
        data__min_length=4,
        data__max_ratio=1.5,
    )


def losses(run):
    return [line["loss"] for line in read_metrics(run) if "loss" in line]


@pytest.mark.slow
def test_a_run_with_a_cache_equals_one_without(several, tmp_path):
    several = changed(several, model__preset="pointer_generator", model__head={})
    cached = changed(several, data__cache=str(tmp_path / "cache"))
    plain, output = io.StringIO(), io.StringIO()
    train(several, tmp_path / "plain", stream=plain)
    train(cached, tmp_path / "cached", stream=output)
    assert losses(tmp_path / "cached") == pytest.approx(losses(tmp_path / "plain"), rel=1e-6)
    assert len(losses(tmp_path / "plain")) > 1
    assert len(list((tmp_path / "cache").glob("*/examples-1.tfrecord"))) == 1
    more = next(line for line in output.getvalue().splitlines() if "more.jsonl: " in line)
    assert more.endswith("skipped 90 below 4 tokens and 40 that stood before")
    assert more in plain.getvalue().splitlines()
