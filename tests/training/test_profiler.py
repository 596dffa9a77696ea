"""Profile of training: the trace and its table."""

import io

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_s2s.cli import main
from keras_s2s.training import profiler, train
from keras_s2s.training.profiler import OperationStats, format_table, read_trace
from tests.training.toy_runs import small_config


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
    operations = read_trace(tmp_path / "x.xplane.pb")
    assert [(operation.kind, operation.calls) for operation in operations] == [
        ("AddV2", 1),
        ("MatMul", 2),
    ]
    assert [operation.seconds for operation in operations] == pytest.approx([0.005, 0.003])


def test_the_table_shows_one_update():
    lines = format_table([OperationStats("MatMul", 0.3, 20), OperationStats("Add", 0.1, 2)], 2)
    assert [line.split() for line in lines] == [
        ["operation", "ms", "share", "calls"],
        ["MatMul", "150.00", "75.0%", "10"],
        ["Add", "50.00", "25.0%", "1"],
    ]


def test_training_is_traced(tmp_path, corpora, monkeypatch):
    monkeypatch.setattr(profiler, "TRACED_UPDATES", 3)
    output = io.StringIO()
    train(small_config(corpora, updates=6), tmp_path / "run", stream=output, profile=True)
    lines = output.getvalue().splitlines()
    (header,) = [number for number, line in enumerate(lines) if line.startswith("operation ")]
    assert any("MatMul" in line for line in lines[header : header + 1 + profiler.TABLE_ROWS])
    (path,) = (tmp_path / "run" / "logs" / "plugins" / "profile").glob("*/*.xplane.pb")
    assert f"profile: 3 updates after 3, {path}" in lines
    assert sum(operation.seconds for operation in read_trace(path)) > 0


@pytest.mark.slow
def test_failed_training_stops_the_profiler(tmp_path, corpora):
    def export(run_dir, step):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        train(
            small_config(corpora, updates=6, validate_every=2),
            tmp_path / "run",
            export=export,
            stream=io.StringIO(),
            profile=True,
        )
    tf.profiler.experimental.start(str(tmp_path / "logs"))
    tf.profiler.experimental.stop()


def test_profile_excludes_dry_run(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "x.yml", "--dry-run", "--profile"])
    assert "not allowed with argument --dry-run" in capsys.readouterr().err
