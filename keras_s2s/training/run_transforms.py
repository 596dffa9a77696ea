"""Runs made of other runs: the mean of checkpoints, and another vocabulary."""

import dataclasses
import shutil
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
    sources, output, *, last: int | None = None, option="--last", say=None
) -> Path:
    """Writes a run directory whose `best` is the mean of several checkpoints' weights.

    Args:
        sources: checkpoint directories, or one run directory, whose checkpoints/ are averaged.
        output: the new run directory, with the first checkpoint's configuration and tokenizers.
        last: of a run directory, how many of the latest checkpoints; all that it kept by default.
        option: what an error calls `last`.
        say: takes a line for the user.

    Returns:
        `output`.

    Raises:
        UserError: `output` exists, a checkpoint is missing or damaged, or they do not fit together.
    """
    sources = [Path(source) for source in sources]
    if len(sources) == 1 and not checkpoints.exists(sources[0]):
        sources = _kept(sources[0], last, option)
    elif last is not None:
        raise UserError(f"{option}: expected one run directory, came checkpoints")
    steps = [checkpoints.load(source)[1]["step"] for source in sources]
    run = _run_of(sources[0])
    _check_vocabularies(sources, run)
    with new_directory(output) as made:
        shutil.copytree(run / "tokenizers", made / "tokenizers")
        shutil.copyfile(run / "config.yml", made / "config.yml")
        dictionary.save(made, dictionary.load(run))
        state = {"step": steps[-1], "averaged": steps}
        checkpoints.save(checkpoints.average(sources), made / "best", state)
    (say or write_to_stderr)(f"{output}: the mean of updates {', '.join(f'{n:,}' for n in steps)}")
    return Path(output)


def _kept(run, last, option):
    found = (run / "checkpoints").glob("*")
    found = [path for path in found if path.name.isdigit() and checkpoints.exists(path)]
    found.sort(key=lambda path: int(path.name))
    if not found:
        raise UserError(f"{run}/checkpoints: expected what training.keep keeps, came nothing")
    if last is not None and last > len(found):
        expected = f"expected at most {len(found)}, the checkpoints of {run}/checkpoints"
        raise UserError(f"{option}: {expected}, came {last}")
    return found if last is None else found[-last:]


def _run_of(checkpoint):
    for run in checkpoint.resolve().parents[:2]:
        if (run / "config.yml").is_file() and (run / "tokenizers").is_dir():
            return run
    raise UserError(f"{checkpoint}: expected a checkpoint of a run directory, came one alone")


def _check_vocabularies(sources, run):
    """A mean of weights makes sense only where the same ids mean the same pieces."""
    expected = vocabularies_of(tokenizers.load_pair(run / "tokenizers"))
    for source in sources[1:]:
        own = _run_of(source)
        if own != run and vocabularies_of(tokenizers.load_pair(own / "tokenizers")) != expected:
            same = f"expected a checkpoint with the vocabularies of {sources[0]}, came others"
            raise UserError(f"{source}: {same}")


def update_vocabulary(run, config: Config, output, *, checkpoint="best", say=None) -> Path:
    """Writes a run directory with the weights of `run` under tokenizers of `config`.

    A piece that both vocabularies hold keeps its weights, a new one begins as in a new model. The
    new run can be translated with, and trained from update 0.

    Args:
        run: the run directory that lends its weights.
        config: whose `data` says how the tokenizers are made; its `model` is that of `run`, but
            for dropout, or left out.
        output: the new run directory.
        checkpoint: `"best"` or `"last"` of `run`.
        say: takes a line for the user.

    Returns:
        `output`.

    Raises:
        UserError: `output` exists, `run` is damaged, or `config` describes another model.
    """
    run, say = Path(run), say or write_to_stderr
    old, config = tokenizers.load_pair(run / "tokenizers"), _with_model_of(run, config)
    donor = checkpoints.load_model(run / checkpoint)
    keras.utils.set_random_seed(config.training.seed)
    with new_directory(output) as made:
        pair = train_tokenizers(config, made, say)
        model, new = build_compiled_model(config, pair), vocabularies_of(pair)
        done = checkpoints.transfer(donor, model, config.model, vocabularies_of(old), new)
        if done.left:
            name, why = next(iter(done.left.items()))
            problem = f"expected the model that the configuration describes, came {name} {why}"
            raise UserError(f"{run / checkpoint}: {problem}")
        log_transfer(say, "weights", run / checkpoint, done, new)
        course = TrainingProgress(config.training.updates)
        course.set_model(model)
        for name in ("best", "last"):
            checkpoints.save(model, made / name, course.snapshot())
        config.save(made / "config.yml")
    say(f"{output}: train it by keras-s2s train {output}/config.yml --run-dir {output}")
    return Path(output)


def _with_model_of(run, config):
    stored = Config.load(run / "config.yml")
    left_out = config.model == ModelConfig()
    config = complete(dataclasses.replace(config, model=stored.model) if left_out else config)
    if not stored.model.encoder:  # a run that `Translator.save` wrote: its weights will tell
        return config
    old, new = ({"model": models.resolve(one.model)} for one in (stored, config))
    problems = [
        f"{key} is {was!r} in {run}, came {came!r}"
        for key, was, came in config_differences(old, new)
        if not key.endswith("dropout")  # no weight depends on it
    ]
    if problems:
        raise UserError(f"{'; '.join(problems)}; expected the same model")
    return config
