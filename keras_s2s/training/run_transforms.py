"""Runs derived from other runs: an average of checkpoints, and another vocabulary."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from keras_s2s import checkpoints, models, tokenizers
from keras_s2s.callbacks import TrainingProgress
from keras_s2s.config import Config, ModelConfig
from keras_s2s.errors import UserError
from keras_s2s.io import new_directory
from keras_s2s.training.compilation import build_compiled_model
from keras_s2s.training.defaults import complete
from keras_s2s.training.initialization import log_transfer, vocabularies_of
from keras_s2s.training.messages import write_to_stderr
from keras_s2s.training.run_config import config_differences
from keras_s2s.training.run_tokenizers import train_tokenizers
from keras_s2s.translator import dictionary

__all__ = ["average_checkpoints", "update_vocabulary"]


def average_checkpoints(
    sources: Sequence[Path | str],
    output: Path | str,
    *,
    last: int | None = None,
    option: str = "--last",
    log: Callable[[str], None] | None = None,
) -> Path:
    """Writes a run directory whose `best` is the mean of the weights of several checkpoints.

    Args:
        sources: checkpoint directories, or one run directory, whose checkpoints/ are averaged.
        output: the new run directory, with the configuration and tokenizers of the first source.
        last: of a run directory, the number of latest checkpoints; by default all of them.
        option: the name of `last` in errors.
        log: takes a line for the user.

    Returns:
        `output`.

    Raises:
        UserError: `output` exists, a checkpoint is missing or damaged, or they do not fit together.
    """
    directories = [Path(source) for source in sources]
    if len(directories) == 1 and not checkpoints.exists(directories[0]):
        directories = _kept_checkpoints(directories[0], last, option)
    elif last is not None:
        raise UserError(f"{option}: expected one run directory, got checkpoints")
    steps = [checkpoints.load(directory)[1]["step"] for directory in directories]
    run = _run_of(directories[0])
    _check_vocabularies(directories, run)
    with new_directory(output) as new_run:
        shutil.copytree(run / "tokenizers", new_run / "tokenizers")
        shutil.copyfile(run / "config.yml", new_run / "config.yml")
        dictionary.save(new_run, dictionary.load(run))
        state = {"step": steps[-1], "averaged": steps}
        checkpoints.save(checkpoints.average(directories), new_run / "best", state)
    log = log or write_to_stderr
    log(f"{output}: the mean of updates {', '.join(f'{step:,}' for step in steps)}")
    return Path(output)


def _kept_checkpoints(run: Path, last: int | None, option: str) -> list[Path]:
    """The latest checkpoints that `training.keep` kept, oldest first."""
    paths = [path for path in (run / "checkpoints").glob("*") if path.name.isdecimal()]
    kept = sorted(filter(checkpoints.exists, paths), key=lambda path: int(path.name))
    if not kept:
        raise UserError(f"{run}/checkpoints: expected checkpoints of training.keep, got none")
    if last is not None and last > len(kept):
        expected = f"expected at most {len(kept)}, the checkpoints of {run}/checkpoints"
        raise UserError(f"{option}: {expected}, got {last}")
    return kept if last is None else kept[-last:]


def _run_of(checkpoint: Path) -> Path:
    for run in checkpoint.resolve().parents[:2]:
        if (run / "config.yml").is_file() and (run / "tokenizers").is_dir():
            return run
    raise UserError(f"{checkpoint}: expected a checkpoint of a run directory, got one alone")


def _check_vocabularies(directories: list[Path], run: Path) -> None:
    """Weights can be averaged only if equal ids denote equal tokens."""
    expected = vocabularies_of(tokenizers.load_pair(run / "tokenizers"))
    for directory in directories[1:]:
        other = _run_of(directory)
        if other == run:
            continue
        if vocabularies_of(tokenizers.load_pair(other / "tokenizers")) != expected:
            same = f"expected a checkpoint with the vocabularies of {directories[0]}"
            raise UserError(f"{directory}: {same}, got others")


def update_vocabulary(
    run: Path | str,
    config: Config,
    output: Path | str,
    *,
    checkpoint: str = "best",
    log: Callable[[str], None] | None = None,
) -> Path:
    """Writes a run directory with the weights of `run` and the tokenizers of `config`.

    A token of both vocabularies keeps its weights; a new one is initialized. The new run can
    translate, and train from update 0.

    Args:
        run: the run directory whose weights are used.
        config: a configuration whose `data` section describes the tokenizers. Its `model` section
            is left out, or equal to that of `run` except for dropout.
        output: the new run directory.
        checkpoint: `"best"` or `"last"` of `run`.
        log: takes a line for the user.

    Returns:
        `output`.

    Raises:
        UserError: `output` exists, `run` is damaged, or `config` describes another model.
    """
    run, log = Path(run), log or write_to_stderr
    old = vocabularies_of(tokenizers.load_pair(run / "tokenizers"))
    config = _with_model_of(run, config)
    donor = checkpoints.load_model(run / checkpoint)
    keras.utils.set_random_seed(config.training.seed)
    with new_directory(output) as new_run:
        pair = train_tokenizers(config, new_run, log)
        model, new = build_compiled_model(config, pair), vocabularies_of(pair)
        result = checkpoints.transfer(donor, model, config.model, old, new)
        if result.skipped:
            name, reason = next(iter(result.skipped.items()))
            problem = f"expected the model that the configuration describes, got {name} {reason}"
            raise UserError(f"{run / checkpoint}: {problem}")
        log_transfer(log, "weights", run / checkpoint, result, new)
        progress = TrainingProgress(config.training.updates)
        progress.set_model(model)
        for name in ("best", "last"):
            checkpoints.save(model, new_run / name, progress.snapshot())
        config.save(new_run / "config.yml")
    log(f"{output}: train it by keras-s2s train {output}/config.yml --run-dir {output}")
    return Path(output)


def _with_model_of(run: Path, config: Config) -> Config:
    """The complete configuration with the model of a run."""
    stored = Config.load(run / "config.yml")
    if config.model == ModelConfig():
        config = dataclasses.replace(config, model=stored.model)
    config = complete(config)
    if not stored.model.encoder:  # a run of `Translator.save`; the transfer checks its weights
        return config
    old, new = ({"model": models.resolve(c.model)} for c in (stored, config))
    problems = [
        f"{key} is {old_value!r} in {run}, got {new_value!r}"
        for key, old_value, new_value in config_differences(old, new)
        if not key.endswith("dropout")  # no weight depends on it
    ]
    if problems:
        raise UserError(f"{'; '.join(problems)}; expected the same model")
    return config
