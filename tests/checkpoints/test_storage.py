"""Checkpoint directories: exact restoring, commits that survive interruptions, damage reports."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import checkpoints, schedules
from keras_s2s.errors import UserError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 4)).astype("float32")
Y = RANDOM.normal(size=(40, 2)).astype("float32")


def small_model(optimizer="adam", policy="float32", units=8):
    keras.utils.set_random_seed(5)
    layers = [
        keras.layers.Dense(units, "relu", dtype=policy),
        keras.layers.Dropout(0.3, seed=3, dtype=policy),
        keras.layers.Dense(2, dtype="float32"),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    rate = schedules.InverseSqrt(0.01, 5)
    optimizers = {
        "adam": lambda: keras.optimizers.Adam(rate, global_clipnorm=1.0),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9),
        "adafactor": lambda: keras.optimizers.Adafactor(rate),
    }
    model.compile(optimizers[optimizer](), loss="mse", jit_compile=False)
    return model


def fit(model, updates):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).repeat()
    model.fit(data, steps_per_epoch=updates, verbose=0, shuffle=False)


def variables(model):
    return [np.asarray(v.numpy()) for v in [*model.weights, *model.optimizer.variables]]


def assert_same(first, second):
    for one, other in zip(variables(first), variables(second), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("optimizer", "policy"),
    [
        ("adam", "float32"),
        ("sgd", "float32"),
        ("adafactor", "float32"),
        ("adam", "mixed_bfloat16"),
        ("adam", "mixed_float16"),
    ],
)
def test_a_restored_model_continues_exactly_like_the_saved_one(tmp_path, optimizer, policy):
    model = small_model(optimizer, policy)
    fit(model, 10)
    checkpoints.save(model, tmp_path / "last", {"step": 10, "best": 0.5})
    restored = small_model(optimizer, policy)
    state = checkpoints.restore(restored, tmp_path / "last")
    assert (state["step"], state["best"]) == (10, 0.5)
    assert int(restored.optimizer.iterations) == 10
    assert_same(model, restored)
    fit(model, 10)
    fit(restored, 10)  # equal dropout seeds too: nothing differs ten updates later
    assert_same(model, restored)


def test_a_new_checkpoint_replaces_the_previous_one(tmp_path):
    model = small_model()
    first = checkpoints.save(model, tmp_path, {"step": 500})
    second = checkpoints.save(model, tmp_path, {"step": 1000})
    assert (first.name, second.name) == ("step-00500.keras", "step-01000.keras")
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.json", "step-01000.keras"]
    assert checkpoints.load(tmp_path)[0] == second
    assert json.loads((tmp_path / "checkpoint.json").read_text())["model"] == second.name
    third = checkpoints.save(model, tmp_path, {"step": 1000})
    assert third != second
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.json", third.name]


def test_copy_creates_the_same_checkpoint_in_another_directory(tmp_path):
    model = small_model()
    checkpoints.save(model, tmp_path / "best", {"step": 7, "best": 1.0})
    checkpoints.copy(tmp_path / "best", tmp_path / "last")
    checkpoints.save(model, tmp_path / "best", {"step": 9})
    path, state = checkpoints.load(tmp_path / "last")
    assert (path.name, state["step"], state["best"]) == ("step-00007.keras", 7, 1.0)
    assert_same(model, _restored(tmp_path / "last"))


def _restored(directory):
    model = small_model()
    checkpoints.restore(model, directory)
    return model


@pytest.mark.parametrize(
    ("owner", "name", "read"),
    [
        (
            checkpoints.storage,
            "_check_archive",
            lambda directory: checkpoints.load(directory)[0].name,
        ),
        (keras.saving, "load_model", lambda directory: checkpoints.load_model(directory).name),
    ],
)
def test_reading_while_training_replaces_the_checkpoint(tmp_path, monkeypatch, owner, name, read):
    model = small_model()
    checkpoints.save(model, tmp_path, {"step": 1})
    original, replaced = getattr(owner, name), []

    def replace_meanwhile(*args, **kwargs):
        if not replaced:
            replaced.append(checkpoints.save(model, tmp_path, {"step": 2}))
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, replace_meanwhile)
    assert read(tmp_path) in ("step-00002.keras", model.name)


class Killed(BaseException):
    pass


def kill_after(monkeypatch, number):
    """Raises `Killed` after `number` calls that write to the disk."""
    left = [number]

    def guarded(function):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "replace", guarded(os.replace))
    monkeypatch.setattr(os, "fsync", guarded(os.fsync))
    monkeypatch.setattr(Path, "unlink", guarded(Path.unlink))
    return left


def test_an_interrupted_save_leaves_the_previous_or_the_new_checkpoint(tmp_path, monkeypatch):
    model = small_model()
    steps = []
    for number in range(30):
        directory = tmp_path / str(number)
        checkpoints.save(model, directory, {"step": 1})
        with monkeypatch.context() as patch:
            left = kill_after(patch, number)
            try:
                checkpoints.save(model, directory, {"step": 2})
            except Killed:
                pass
        steps.append(checkpoints.load(directory)[1]["step"])
        _restored(directory)
        if left[0] >= 0:
            break
        checkpoints.save(model, directory, {"step": 3})
        assert sorted(p.name for p in directory.glob("*.keras")) == ["step-00003.keras"]
    assert len(steps) > 6
    assert steps == sorted(steps)
    assert set(steps) == {1, 2}


@pytest.mark.slow
def test_a_killed_process_leaves_a_loadable_checkpoint(tmp_path):
    code = """
import keras, sys
from keras_s2s import checkpoints
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(2000)])
model.compile("adam", "mse")
for step in range(10**6):
    checkpoints.save(model, sys.argv[1], {"step": step})
"""
    for moment in RANDOM.uniform(0.01, 0.5, size=6):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
        while not checkpoints.exists(tmp_path):
            time.sleep(0.05)
        began = checkpoints.load(tmp_path)[1]["step"]
        deadline = time.monotonic() + 60
        while checkpoints.load(tmp_path)[1]["step"] == began and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        path, _ = checkpoints.load(tmp_path)
        assert keras.saving.load_model(path).built


def test_a_full_disk_names_the_file_and_keeps_the_checkpoint(tmp_path):
    model = small_model()
    fit(model, 1)
    checkpoints.save(model, tmp_path, {"step": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/step-00002\.keras'"):
            checkpoints.save(model, tmp_path, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.json", "step-00001.keras"]
    assert checkpoints.load(tmp_path)[1]["step"] == 1


def test_a_missing_checkpoint_is_named(tmp_path):
    assert not checkpoints.exists(tmp_path / "best")
    with pytest.raises(UserError, match="best: expected a checkpoint, got no checkpoint.json"):
        checkpoints.load(tmp_path / "best")
    with pytest.raises(UserError, match="best: expected a checkpoint, got no checkpoint.json"):
        checkpoints.restore(small_model(), tmp_path / "best")


def test_damage_is_named(tmp_path):
    path = checkpoints.save(small_model(), tmp_path, {"step": 1})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="step-00001.keras: damaged checkpoint"):
        checkpoints.load(tmp_path)
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 255
    path.write_bytes(broken)
    with pytest.raises(
        UserError, match=r"damaged checkpoint: model.weights.h5 inside it is broken"
    ):
        checkpoints.restore(small_model(), tmp_path)
    path.unlink()
    with pytest.raises(
        UserError, match="step-00001.keras: damaged checkpoint: the file is missing"
    ):
        checkpoints.load(tmp_path)
    for text in ("{", "{}", "[]"):
        (tmp_path / "checkpoint.json").write_text(text)
        with pytest.raises(UserError, match="checkpoint.json: damaged checkpoint: expected JSON"):
            checkpoints.load(tmp_path)


def test_restore_rejects_another_model(tmp_path):
    checkpoints.save(small_model(), tmp_path, {"step": 1})
    with pytest.raises(UserError, match="step-00001.keras: does not fit this model: "):
        checkpoints.restore(small_model(units=9), tmp_path)


def test_save_requires_a_step(tmp_path):
    with pytest.raises(ValueError, match="state: expected a 'step', got {'best': 1}"):
        checkpoints.save(small_model(), tmp_path, {"best": 1})
    assert os.listdir(tmp_path) == []


def test_files_of_other_names_stay(tmp_path):
    model, names = small_model(), ["mine.keras", "step-00001-copy.keras", "step-1.keras", "notes"]
    checkpoints.save(model, tmp_path, {"step": 1})
    (tmp_path / ".new-123-step-00001.keras").touch()  # a killed process left it
    for name in names:
        (tmp_path / name).write_text(name)
    checkpoints.save(model, tmp_path, {"step": 2})
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint.json",
        "step-00002.keras",
        *names,
    }
    checkpoints.remove(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_remove_deletes_the_directory_of_a_checkpoint(tmp_path):
    checkpoints.save(small_model(), tmp_path / "5", {"step": 5})
    checkpoints.remove(tmp_path / "5")
    checkpoints.remove(tmp_path / "5")
    assert list(tmp_path.iterdir()) == []


def test_states_with_numbers_that_are_not_finite_are_strict_json(tmp_path):
    state = {"step": 1, "best": float("inf"), "figures": {"val_loss": float("-inf")}}
    checkpoints.save(small_model(), tmp_path, state)
    manifest = (tmp_path / "checkpoint.json").read_text()
    assert "Infinity" not in manifest.replace('"Infinity"', "").replace('"-Infinity"', "")
    assert json.loads(manifest)["best"] is None
    loaded = checkpoints.load(tmp_path)[1]
    assert {name: loaded[name] for name in state} == state
