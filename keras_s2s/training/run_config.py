"""The configuration of a run directory, and a check that a new one describes the same run."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keras_s2s import checkpoints, models
from keras_s2s.config import Config, ModelConfig
from keras_s2s.errors import UserError

__all__ = [
    "check_run_config",
    "config_differences",
    "merge_run_config",
    "reject_differences",
    "tokenizer_settings",
]

# Keys of `training` that `complete` fills in. A resumed run keeps its own values.
CHOSEN = ("policy", "learning_rate", "schedule", "warmup", "optimizer_options", "metric", "scores")
# Keys of `training` that the optimizer's variables depend on.
FIXED = ("optimizer", "ema", "freeze", "policy")
# The optimizer of this policy has variables of the loss scale.
LOSS_SCALING_POLICY = "mixed_float16"
# Keys of `data` that may change, or that `tokenizer_settings` and `check_corpora` compare.
CHECKED_ELSEWHERE = (
    "train",
    "valid",
    "tokenizer",
    "source_tokenizer",
    "target_tokenizer",
    "batch_tokens",
    "cache",
    "memory_limit",
)


def merge_run_config(config: Config, run_dir: Path | str) -> Config:
    """Fills in values that a configuration leaves out from the run's own config.yml.

    A run without a checkpoint starts anew, so nothing is taken from it.
    """
    run_dir = Path(run_dir)
    if not checkpoints.exists(run_dir / "last") or not (run_dir / "config.yml").is_file():
        return config
    stored = Config.load(run_dir / "config.yml")
    raw = config.to_dict()
    if raw["data"]["batch_tokens"] == "auto":
        raw["data"]["batch_tokens"] = stored.data.batch_tokens
    for name in CHOSEN:
        if raw["training"][name] in (None, {}):
            raw["training"][name] = getattr(stored.training, name)
    return Config.from_dict(raw)


def check_run_config(config: Config, run_dir: Path | str) -> None:
    """Checks that a complete configuration describes the run of a directory.

    Before the first checkpoint the tokenizers must be the same; after it also the model, the data
    (see `check_corpora` for the files) and what the optimizer's variables depend on.

    Raises:
        UserError: a value differs; every such key is named with both values. Or the run has
            nothing but `best`, such as an average, which training would overwrite.
    """
    _check_resumable(Path(run_dir))
    path = Path(run_dir) / "config.yml"
    if not path.is_file():
        return
    stored = Config.load(path)
    old, new = tokenizer_settings(stored), tokenizer_settings(config)
    if checkpoints.exists(Path(run_dir) / "last"):
        old, new = old | _fixed_settings(stored), new | _fixed_settings(config)
    reject_differences(path, config_differences(old, new))


def _check_resumable(run_dir: Path) -> None:
    best = run_dir / "best"
    is_trained = any(checkpoints.exists(run_dir / name) for name in ("last", checkpoints.IMPORTED))
    if is_trained or not checkpoints.exists(best):
        return
    state = checkpoints.load(best)[1]
    if state.get("validations") == 1:  # interrupted in the first validation, before `last`
        return
    actual = "an average" if "averaged" in state else "best/ without last/"
    remedy = f"training.init_from: {run_dir} starts a new run with it"
    raise UserError(f"{run_dir}: expected a run to train, got {actual}; {remedy}")


def reject_differences(path: Path, differences: Iterable[tuple[str, Any, Any]]) -> None:
    """Raises an error that lists the results of `config_differences`, if there are any."""
    problems = [f"{key} is {old!r} in this run, got {new!r}" for key, old, new in differences]
    if problems:
        expected = "expected the same, or another run directory"
        raise UserError(f"{path}: {'; '.join(problems)}; {expected}")


def _fixed_settings(config: Config) -> dict[str, Any]:
    """The settings that must not change once there is a checkpoint."""
    raw = config.to_dict()
    data = {key: raw["data"][key] for key in raw["data"] if key not in CHECKED_ELSEWHERE}
    # A run may be older than an argument of the model; its value is then the default.
    model = models.resolve(ModelConfig(**raw["model"]))
    training = {f"training.{key}": raw["training"][key] for key in FIXED}
    if raw["training"]["policy"] != LOSS_SCALING_POLICY:
        training["training.policy"] = "float32 or mixed_bfloat16"
    return {"data": data, "model": model, **training}


def tokenizer_settings(config: Config) -> dict[str, Any]:
    """The tokenizers' sections by their keys."""
    source, target = config.data.tokenizers()
    if source.shared:
        return {"data.tokenizer": asdict(source)}
    return {"data.source_tokenizer": asdict(source), "data.target_tokenizer": asdict(target)}


def config_differences(
    old: dict[str, Any], new: dict[str, Any], path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yields (dotted key, old value, new value) where two nested dictionaries differ."""
    for key in dict.fromkeys([*old, *new]):
        old_value, new_value = _by_index(old.get(key)), _by_index(new.get(key))
        dotted = f"{path}{key}"
        if isinstance(old_value, dict) and isinstance(new_value, dict):
            yield from config_differences(old_value, new_value, f"{dotted}.")
        elif old_value != new_value:
            yield dotted, old_value, new_value


def _by_index(value: Any) -> Any:
    """A list of dictionaries as a dictionary by index, so that each difference has a key."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return value
