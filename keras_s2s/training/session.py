"""What one call of `train` works with: everything checked, built and brought back."""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from keras_s2s import checkpoints, models
from keras_s2s.callbacks import ProgressBar, TrainingProgress
from keras_s2s.config import Config
from keras_s2s.data import CorpusStatistics, scan_corpora
from keras_s2s.data.batching import require_pairs
from keras_s2s.metrics import SCORERS
from keras_s2s.training.batch_size_finder import find_batch_size
from keras_s2s.training.compilation import build_compiled_model, check_buildable
from keras_s2s.training.defaults import complete, describe_choices
from keras_s2s.training.failure_recovery import explain_build_failures
from keras_s2s.training.initialization import initialize_weights
from keras_s2s.training.run_config import check_run_config, merge_run_config
from keras_s2s.training.run_corpora import check_corpora, corpus_fingerprint
from keras_s2s.training.run_tokenizers import train_tokenizers, training_corpus

__all__ = ["Session", "build_session"]


@dataclass
class Session:
    """What one call of `train` works with, once everything was checked."""

    config: Config
    run_dir: Path
    tokenizers: tuple
    surveys: dict[str, CorpusStatistics]
    model: keras.Model
    course: TrainingProgress
    progress: ProgressBar


def build_session(given: Config, run_dir: Path, stream=None, *, write: bool = True) -> Session:
    """Checks everything, makes what is missing, and goes on where the run was.

    Without `write` no file is made or changed.

    Raises:
        UserError: naming the key, or the file and line, that does not do.
    """
    config = complete(merge_run_config(given, run_dir))
    check_run_config(config, run_dir)
    training_corpus(config)
    with explain_build_failures():
        check_buildable(config)
    if not write:
        config = replace(config, data=replace(config.data, cache=None))
    keras.utils.set_random_seed(config.training.seed)
    course = TrainingProgress(config.training.updates, batches=config.training.accumulate)
    progress = ProgressBar(course, stream=stream or sys.stderr)
    pair = train_tokenizers(config, run_dir, progress.say, write=write)
    surveys = _surveys(config, pair, str(run_dir) if write else None, progress.say)
    check_corpora(config, run_dir, surveys)
    config = _with_steps(config, surveys["train"])
    with explain_build_failures():
        config = find_batch_size(config, pair, surveys["train"], _copies(config), progress.say)
        model = build_compiled_model(config, pair)
    chosen = describe_choices(given, config)
    progress.say(f"model: {model.count_params():,} weights" + (f"; {chosen}" if chosen else ""))
    _say_unsmoothed(config, model, progress.say)
    session = Session(config, run_dir, pair, surveys, model, course, progress)
    if checkpoints.exists(run_dir / "last"):
        course.resume(checkpoints.restore(model, run_dir / "last"))
        progress.say(f"{run_dir}: going on from update {course.step:,}")
    else:
        initialize_weights(session)
    _order(session)
    _aim(session)
    if write:
        config.save(run_dir / "config.yml")
    return session


def _say_unsmoothed(config, model, say):
    if config.training.label_smoothing and not (model.smoothing or model.has_feature_targets):
        kind, value = config.model.head["kind"], config.training.label_smoothing
        say(f"training.label_smoothing: {value} does not apply to the head {kind}")


def _with_steps(config, statistics):
    """As many steps of a forecast as the longest target has, where nobody said how many."""
    if not config.data.frames()[1] or config.decoding.steps is not None:
        return config
    steps = min(statistics.longest_target, config.data.max_length, config.export.max_length)
    return replace(config, decoding=replace(config.decoding, steps=steps))


def _order(session):
    """Which order of the data this run follows; a new one where the old one's terms changed."""
    config, state = session.config, session.course.state
    terms = [config.training.seed, config.data.batch_tokens]
    if state.get("order", {}).get("terms") != terms:
        seed = config.training.seed + state["step"]
        if state["step"]:
            session.progress.say(f"data.train: another order from here, by seed {seed}")
        state |= {"order": {"seed": seed, "terms": terms}, "position": 0}
    state["corpora"] = {name: corpus_fingerprint(found) for name, found in session.surveys.items()}


def _aim(session):
    """Forgets the best so far where what it was the best of has changed."""
    training, state = session.config.training, session.course.state
    terms = {"metric": training.metric}
    if training.metric == "loss":
        terms["label_smoothing"] = training.label_smoothing
    elif training.metric in SCORERS:
        terms["validate_lines"] = training.validate_lines
    was = state.get("aim", terms)
    if was != terms and state["best"] is not None:
        changed = [name for name in terms if name in was and was[name] != terms[name]]
        what = " and ".join(f"training.{name}" for name in changed)
        session.progress.say(f"{what} changed: the next validation is the best so far")
        state |= {"best": None, "waited": 0}
    state["aim"] = terms


def _surveys(config, pair, keep, say):
    """Counts both corpora before anything is built, and says what is skipped."""
    found = {}
    for name in ("train", "valid"):
        corpus = getattr(config.data, name)
        if corpus is not None:
            counting = _Counting(f"data.{name}", say)
            options = _train_options(config, keep) if name == "train" else {}
            found[name] = scan_corpora(corpus, *pair, config.data.max_length, counting, **options)
            for line in found[name].describe():
                say(f"data.{name}: {line}")
            require_pairs(corpus, found[name])
    if "valid" not in found:
        say("data.valid: none, so best/ is always the latest checkpoint")
    return found


def _train_options(config, keep):
    """How the training corpora are surveyed, beside what holds for every corpus."""
    cache = {"cache": config.data.cache, "copy": _copies(config), "keep": keep}
    return config.data.filters() | cache


def _copies(config):
    return models.KINDS["head"][config.model.head["kind"]].supports_copy


class _Counting:
    """Says every ten seconds how many pairs were read."""

    def __init__(self, name, say):
        self.name, self.say, self.said = name, say, time.monotonic()

    def __call__(self, pairs):
        if time.monotonic() - self.said > 10.0:
            self.said = time.monotonic()
            self.say(f"{self.name}: {pairs:,} pairs read")
