"""Defaults that depend on the kind of model."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_s2s import models
from keras_s2s.config import Config, ModelConfig, Training
from keras_s2s.config.training import FEATURE_METRICS
from keras_s2s.errors import UserError
from keras_s2s.metrics import SCORERS

__all__ = ["complete", "describe_choices"]

CPU_INFO = Path("/proc/cpuinfo")
TRANSFORMER_DECODERS = ("transformer", "fast_transformer")
TRANSFORMER_WARMUP, DEFAULT_WARMUP = 4000, 200  # updates


def complete(config: Config, *, cpu_flags: Iterable[str] | None = None) -> Config:
    """Fills in the values that a configuration leaves out.

    - Transformers: Vaswani et al. 2017, section 5.3, with the learning rate given as its peak
      (width * 4000)^-0.5: inverse_sqrt, 4000 updates of warmup (a fifth of a shorter training),
      Adam with beta_2 = 0.98 and epsilon = 1e-9; mixed_bfloat16 on processors with bfloat16
      instructions, where it is a third faster, else float32.
    - Other models: Adam at 0.001, exponential (half of the training at the full rate, then halved
      five times), 200 updates of warmup (a fifth of a shorter training); float32.
    - The learning rate of noam is 1, the factor of the paper.
    - `head` is regression if the target is features.
    - `scores` are wer and per if target tokens are characters or symbols separated by white space,
      else bleu and chrf, and `metric` too if it is a text metric; `metric` is the loss.

    Args:
        config: a configuration.
        cpu_flags: flags of the processor; by default those of this machine.

    Raises:
        UserError: the model is unknown, or `metric` cannot be computed.

    Example:

    >>> from keras_s2s.config import Config
    >>> from keras_s2s.training import complete
    >>> config = complete(Config.from_dict({"model": {"preset": "gru"}}), cpu_flags=())
    >>> config.training.schedule, config.training.warmup
    ('exponential', 200)
    """
    config = _with_head(config)
    model = ModelConfig(**models.resolve(config.model))
    is_transformer = model.decoder["kind"] in TRANSFORMER_DECODERS
    optimization = _optimization(is_transformer, model.decoder["units"], config.training)
    training = _fill(config.training, optimization)
    uses_bfloat16 = is_transformer and _has_fast_bfloat16(cpu_flags)
    policy = "mixed_bfloat16" if uses_bfloat16 else "float32"
    training = _fill(training, {"policy": policy, "metric": "loss"})
    training = dataclasses.replace(training, scores=_scores(config))
    _check_metric(config)
    _check_validation_corpus(config)
    return dataclasses.replace(config, model=model, training=training)


def describe_choices(given: Config, completed: Config) -> str:
    """The values that `complete` filled in, as one line; empty if nothing was left out."""
    before, after = given.to_dict()["training"], completed.to_dict()["training"]
    choices = {name: value for name, value in after.items() if before[name] != value}
    if given.model.preset:
        choices["model"] = given.model.preset
    return ", ".join(f"{name} {_format(value)}" for name, value in choices.items())


def _with_head(config: Config) -> Config:
    """Selects a regression head if the target is features."""
    if not config.data.has_features[1] or "kind" in config.model.head:
        return config
    head = {"kind": "regression", **config.model.head}
    return dataclasses.replace(config, model=dataclasses.replace(config.model, head=head))


def _fill(training: Training, choices: dict[str, Any]) -> Training:
    """Sets the fields that are left out, None or {}."""
    left_out = {name for name in choices if getattr(training, name) in (None, {})}
    return dataclasses.replace(training, **{name: choices[name] for name in left_out})


def _optimization(is_transformer: bool, width: int, training: Training) -> dict[str, Any]:
    schedule = training.schedule or ("inverse_sqrt" if is_transformer else "exponential")
    peak = float(f"{(width * 4000) ** -0.5:.1e}") if is_transformer else 0.001
    warmup = TRANSFORMER_WARMUP if is_transformer else DEFAULT_WARMUP
    choices: dict[str, Any] = {
        "schedule": schedule,
        "learning_rate": 1.0 if schedule == "noam" else peak,
        "warmup": max(1, min(warmup, training.updates // 5)),
    }
    if is_transformer and training.optimizer in ("adam", "adamw"):
        choices["optimizer_options"] = {"beta_2": 0.98, "epsilon": 1e-9}
    return choices


def _has_fast_bfloat16(cpu_flags: Iterable[str] | None) -> bool:
    if cpu_flags is None:
        lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
        cpu_flags = next((line for line in lines if line.startswith("flags")), "").split()
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpu_flags)


def _scores(config: Config) -> list[str]:
    if config.data.valid is None or config.training.validate_lines == 0:
        return []
    if config.data.has_features[1]:
        return []
    scores, metric = config.training.scores, config.training.metric
    if scores is None:
        has_symbols = config.data.tokenizers()[1].kind in ("characters", "whitespace")
        scores = ["wer", "per"] if has_symbols else ["bleu", "chrf"]
    return [*scores, metric] if metric in SCORERS and metric not in scores else list(scores)


def _check_metric(config: Config) -> None:
    metric, has_features = config.training.metric, config.data.has_features[1]
    if metric in (None, "loss"):
        return
    if (metric in FEATURE_METRICS) != has_features:
        token_metrics = ("accuracy", "perplexity", *SCORERS)
        valid = ("loss", *(FEATURE_METRICS if has_features else token_metrics))
        raise UserError(
            f"training.metric: expected one of {', '.join(valid)} for a target of"
            f" {'features' if has_features else 'tokens'}, got {metric}"
        )
    if config.data.valid is None:
        raise UserError(f"data.valid: expected a corpus to compute {metric} on, got none")
    if metric in SCORERS and config.training.validate_lines == 0:
        reason = f"{metric} is computed on decoded lines, and training.validate_lines is 0"
        raise UserError(f"training.metric: {reason}; expected loss, accuracy or perplexity")


def _check_validation_corpus(config: Config) -> None:
    if config.data.valid is not None:
        return
    if config.training.tensorboard.attention:
        expected = "expected a corpus of pairs for training.tensorboard"
        raise UserError(f"data.valid: {expected}, got none")
    if config.training.patience is not None:
        raise UserError("data.valid: expected a corpus for training.patience, got none")


def _format(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items())
    return str(value)
