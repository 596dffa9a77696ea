"""The profile: a trace of some updates, and the table that is read from it."""

import io

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_s2s.cli import main
from keras_s2s.training import profiler, train
from keras_s2s.training.profiler import OperationStats, format_table, read_trace
from tests.training.toy_runs import small


def test_a_trace_is_summed_by_kind(tmp_path):
    space = xplane_pb2.XSpace()
    names = [
        "model/a/MatMul:MatMul",
        "model/b:MatMul",
        "EagerExecute: f",
        "A::B",
        "x/add:AddV2",
        "model/while:While",
    ]
    for plane_name in ("/host:CPU", "/device:GPU:0"):
        plane = space.planes.add(name=plane_name)
        for number, name in enumerate(names):
            plane.event_metadata[number].name = name
            event = plane.lines.add().events.add(metadata_id=number)
            event.duration_ps = (number + 1) * 10**9
    (tmp_path / "x.xplane.pb").write_bytes(space.SerializeToString())
    found = read_trace(tmp_path / "x.xplane.pb")
    assert [(one.kind, one.calls) for one in found] == [("AddV2", 1), ("MatMul", 2)]
    assert [one.seconds for one in found] == pytest.approx([0.005, 0.003])


def test_the_table_is_of_one_update():
    lines = format_table([OperationStats("MatMul", 0.3, 20), OperationStats("Add", 0.1, 2)], 2)
    assert [line.split() for line in lines] == [
        ["operation", "ms", "share", "calls"],
        ["MatMul", "150.00", "75.0%", "10"],
        ["Add", "50.00", "25.0%", "1"],
    ]


def test_training_is_traced(tmp_path, corpora, monkeypatch):
    monkeypatch.setattr(profiler, "COUNT", 3)
    said = io.StringIO()
    train(small(corpora, updates=6), tmp_path / "run", stream=said, profile=True)
    lines = said.getvalue().splitlines()
    (header,) = [number for number, line in enumerate(lines) if line.startswith("operation ")]
    assert any("MatMul" in line for line in lines[header : header + 1 + profiler.ROWS])
    (path,) = (tmp_path / "run" / "logs" / "plugins" / "profile").glob("*/*.xplane.pb")
    assert f"profile: 3 updates after 3, {path}" in lines
    assert sum(one.seconds for one in read_trace(path)) > 0


def test_training_that_fails_leaves_no_profiler_running(tmp_path, corpora):
    def export(run_dir, step):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        train(
            small(corpora, updates=6, validate_every=2),
            tmp_path / "run",
            export=export,
            stream=io.StringIO(),
            profile=True,
        )
    tf.profiler.experimental.start(str(tmp_path / "logs"))
    tf.profiler.experimental.stop()


def test_words_that_exclude_each_other(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "x.yml", "--dry-run", "--profile"])
    assert "not allowed with argument --dry-run" in capsys.readouterr().err
