"""Which version is loaded when: the rules of `ModelVersions`, with models that only count."""

import os
import shutil

import pytest

from keras_s2s.serving.server import versions
from keras_s2s.serving.server.status import StatusError
from keras_s2s.serving.server.version_directories import find_versions
from keras_s2s.serving.server.versions import ModelVersions


class Loader:
    """Loads a model that is the directory's name; those in `broken` fail."""

    def __init__(self):
        self.broken = {}
        self.loads = []
        self.open = set()

    def __call__(self, directory):
        self.loads.append(directory.name)
        if directory.name in self.broken:
            raise self.broken[directory.name]
        self.open.add(directory.name)
        return Model(directory.name, self)


class Model:
    def __init__(self, name, loader):
        self.name, self.loader = name, loader

    def close(self):
        self.loader.open.remove(self.name)


@pytest.fixture
def loader():
    return Loader()


@pytest.fixture
def models(tmp_path, loader):
    return ModelVersions("m", tmp_path, loader, retries=2, retry_seconds=0)


def publish(models, *names):
    for name in names:
        (models.base_path / name).mkdir()
    models.poll()


def states(models):
    return {version.number: version.state for version in models.list()}


def test_versions_are_named_by_whole_numbers(tmp_path):
    for name in ("1", "007", "7", "12", ".tmp-13", "13.tmp", "-4", "v2", "1_0", "9" * 19):
        (tmp_path / name).mkdir()
    assert find_versions(tmp_path) == {
        1: tmp_path / "1",
        7: tmp_path / "7",
        12: tmp_path / "12",
    }


def test_the_highest_is_loaded_and_alone(models, loader):
    publish(models, "2", "10", "9")
    assert loader.loads == ["10"]
    assert states(models) == {10: versions.AVAILABLE}
    with models.use() as version:
        assert (version.number, version.model.name) == (10, "10")


def test_a_new_version_takes_over(models, loader):
    publish(models, "1")
    publish(models, "2")
    assert loader.open == {"2"}
    assert states(models) == {2: versions.AVAILABLE, 1: versions.END}
    models.poll()
    assert loader.loads == ["1", "2"]


def test_a_call_under_way_keeps_its_version(models, loader):
    publish(models, "1")
    with models.use() as first, models.use(1) as again:
        publish(models, "2")
        assert first is again
        assert states(models) == {2: versions.AVAILABLE, 1: versions.UNLOADING}
        assert loader.open == {"1", "2"}
        with pytest.raises(StatusError, match=r"Specific\(m, 1\)"), models.use(1):
            pass
        with models.use() as latest:
            assert latest.number == 2
    assert loader.open == {"2"}
    assert states(models)[1] == versions.END


def test_nothing_loaded_is_not_found(models):
    models.poll()
    with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(m\)"):
        models.use().__enter__()


def test_what_fails_leaves_the_old_version_serving(models, loader, caplog):
    publish(models, "1")
    loader.broken["2"] = StatusError(5, "no such file")
    publish(models, "2")
    assert states(models) == {2: versions.LOADING, 1: versions.AVAILABLE}
    assert "m: version 2 does not load: no such file" in caplog.text
    models.poll()
    models.poll()
    failed = models.list()[0]
    assert (failed.state, failed.code, failed.message) == (versions.END, 5, "no such file")
    models.poll()
    assert loader.loads == ["1", "2", "2", "2"]
    assert loader.open == {"1"}


def test_any_exception_is_a_failure_to_load(models, loader):
    loader.broken["1"] = KeyError("oops")
    publish(models, "1")
    assert (models.list()[0].code, models.list()[0].message) == (2, "KeyError: 'oops'")


def test_a_failed_version_is_tried_again_when_it_comes_back(models, loader):
    loader.broken["1"] = StatusError(5, "half copied")
    publish(models, "1")
    models.poll()
    models.poll()
    assert states(models) == {1: versions.END}
    shutil.rmtree(models.base_path / "1")
    models.poll()
    loader.broken.clear()
    publish(models, "1")
    assert states(models) == {1: versions.AVAILABLE}
    assert models.list()[0].message == ""


def test_a_failed_version_is_tried_again_when_its_files_change(tmp_path, loader):
    models = ModelVersions("m", tmp_path, loader, retries=0, retry_seconds=3600)
    loader.broken["1"] = StatusError(5, "half copied")
    publish(models, "1")
    models.poll()
    assert loader.loads == ["1"]
    loader.broken.clear()
    os.utime(tmp_path / "1", (1, 1))
    models.poll()
    assert states(models) == {1: versions.AVAILABLE}


def test_a_retry_waits(tmp_path, loader):
    models = ModelVersions("m", tmp_path, loader, retries=5, retry_seconds=3600)
    loader.broken["1"] = StatusError(5, "half copied")
    publish(models, "1")
    models.poll()
    assert loader.loads == ["1"]
    assert states(models) == {1: versions.LOADING}


def test_taking_the_latest_away_brings_the_one_before_back(models, loader):
    publish(models, "1")
    publish(models, "2")
    shutil.rmtree(models.base_path / "2")
    models.poll()
    assert loader.open == {"1"}
    assert states(models) == {2: versions.END, 1: versions.AVAILABLE}


def test_an_emptied_base_path_unloads_everything(models, loader):
    publish(models, "1")
    shutil.rmtree(models.base_path / "1")
    models.poll()
    assert loader.open == set()
    assert states(models) == {1: versions.END}


def test_a_lost_base_path_changes_nothing(models, loader, caplog):
    publish(models, "1")
    shutil.rmtree(models.base_path)
    models.poll()
    models.poll()
    assert loader.open == {"1"}
    assert caplog.text.count("cannot look for versions") == 1


def test_close_waits_for_calls_under_way(models, loader):
    publish(models, "1")
    with models.use():
        models.close()
        assert loader.open == {"1"}
    assert loader.open == set()
