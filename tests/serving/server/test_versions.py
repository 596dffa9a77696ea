"""Loading and unloading of versions by `ModelVersions`, with fake models."""

import gc
import os
import shutil
import weakref

import pytest

from keras_s2s.serving.server.status import StatusError
from keras_s2s.serving.server.version import AVAILABLE, END, LOADING, UNLOADING
from keras_s2s.serving.server.versions import ModelVersions


class FakeLoader:
    """Records loads of directories; those in `broken` raise their error."""

    def __init__(self):
        self.broken = {}
        self.loads = []
        self.open = set()

    def __call__(self, directory):
        self.loads.append(directory.name)
        if directory.name in self.broken:
            raise self.broken[directory.name]
        self.open.add(directory.name)
        return FakeModel(directory.name, self)


class FakeModel:
    def __init__(self, name, loader):
        self.name, self.loader = name, loader

    def close(self):
        self.loader.open.remove(self.name)


@pytest.fixture
def loader():
    return FakeLoader()


@pytest.fixture
def models(tmp_path, loader):
    return ModelVersions("m", tmp_path, loader, retries=2, retry_seconds=0)


def publish(models, *names):
    for name in names:
        (models.base_path / name).mkdir()
    models.poll()


def states(models):
    return {version.number: version.state for version in models.list()}


def test_only_the_highest_version_is_loaded(models, loader):
    publish(models, "2", "10", "9")
    assert loader.loads == ["10"]
    assert states(models) == {10: AVAILABLE}
    with models.use() as version:
        assert (version.number, version.model.name) == (10, "10")


def test_new_version_takes_over(models, loader):
    publish(models, "1")
    publish(models, "2")
    assert loader.open == {"2"}
    assert states(models) == {2: AVAILABLE, 1: END}
    models.poll()
    assert loader.loads == ["1", "2"]


def test_call_in_progress_keeps_its_version(models, loader):
    publish(models, "1")
    with models.use() as first, models.use(1) as again:
        publish(models, "2")
        assert first is again
        assert states(models) == {2: AVAILABLE, 1: UNLOADING}
        assert loader.open == {"1", "2"}
        with pytest.raises(StatusError, match=r"Specific\(m, 1\)"), models.use(1):
            pass
        with models.use() as latest:
            assert latest.number == 2
    assert loader.open == {"2"}
    assert states(models)[1] == END


def test_use_without_a_loaded_version_is_not_found(models):
    models.poll()
    with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(m\)"):
        models.use().__enter__()


def test_failing_version_leaves_the_previous_one_serving(models, loader, caplog):
    publish(models, "1")
    loader.broken["2"] = StatusError(5, "no such file")
    publish(models, "2")
    assert states(models) == {2: LOADING, 1: AVAILABLE}
    assert "m: version 2 does not load: no such file" in caplog.text
    models.poll()
    models.poll()
    failed = models.list()[0]
    assert (failed.state, failed.code, failed.message) == (END, 5, "no such file")
    models.poll()
    assert loader.loads == ["1", "2", "2", "2"]
    assert loader.open == {"1"}


def test_any_exception_is_a_failed_load(models, loader):
    loader.broken["1"] = KeyError("oops")
    publish(models, "1")
    assert (models.list()[0].code, models.list()[0].message) == (2, "KeyError: 'oops'")


def test_failed_version_is_loaded_when_it_reappears(models, loader):
    loader.broken["1"] = StatusError(5, "incomplete")
    publish(models, "1")
    models.poll()
    models.poll()
    assert states(models) == {1: END}
    shutil.rmtree(models.base_path / "1")
    models.poll()
    loader.broken.clear()
    publish(models, "1")
    assert states(models) == {1: AVAILABLE}
    assert models.list()[0].message == ""


def test_failed_version_is_loaded_when_its_files_change(tmp_path, loader):
    models = ModelVersions("m", tmp_path, loader, retries=0, retry_seconds=3600)
    loader.broken["1"] = StatusError(5, "incomplete")
    publish(models, "1")
    models.poll()
    assert loader.loads == ["1"]
    loader.broken.clear()
    os.utime(tmp_path / "1", (1, 1))
    models.poll()
    assert states(models) == {1: AVAILABLE}


def test_retry_waits(tmp_path, loader):
    models = ModelVersions("m", tmp_path, loader, retries=5, retry_seconds=3600)
    loader.broken["1"] = StatusError(5, "incomplete")
    publish(models, "1")
    models.poll()
    assert loader.loads == ["1"]
    assert states(models) == {1: LOADING}


def test_removing_the_latest_version_loads_the_previous_one(models, loader):
    publish(models, "1")
    publish(models, "2")
    shutil.rmtree(models.base_path / "2")
    models.poll()
    assert loader.open == {"1"}
    assert states(models) == {2: END, 1: AVAILABLE}


def test_empty_base_path_unloads_everything(models, loader):
    publish(models, "1")
    shutil.rmtree(models.base_path / "1")
    models.poll()
    assert loader.open == set()
    assert states(models) == {1: END}


def test_missing_base_path_changes_nothing(models, loader, caplog):
    publish(models, "1")
    shutil.rmtree(models.base_path)
    models.poll()
    models.poll()
    assert loader.open == {"1"}
    assert caplog.text.count("cannot look for versions") == 1


def test_close_waits_for_calls_in_progress(models, loader):
    publish(models, "1")
    with models.use():
        models.close()
        assert loader.open == {"1"}
    assert loader.open == set()


def test_file_named_by_a_number_is_ignored(models, loader):
    (models.base_path / "9").touch()
    publish(models, "2")
    (models.base_path / "10").touch()
    models.poll()
    assert loader.loads == ["2"]
    assert states(models) == {2: AVAILABLE}


@pytest.fixture
def without_automatic_collection():
    gc.disable()
    yield
    gc.enable()


def test_version_that_is_unloaded_leaves_no_memory(models, loader, without_automatic_collection):
    publish(models, "1")
    with models.use() as version:
        version.model.itself = version.model  # a cycle, as a graph of TensorFlow is
        left = weakref.ref(version.model)
    publish(models, "2")
    version = None
    assert left() is None


def test_failed_load_leaves_no_memory(tmp_path, without_automatic_collection):
    left = []

    def load(directory):
        graph = FakeModel(directory.name, None)
        graph.itself = graph
        left.append(weakref.ref(graph))
        raise StatusError(5, "incomplete")

    publish(ModelVersions("m", tmp_path, load), "1")
    assert left[0]() is None
