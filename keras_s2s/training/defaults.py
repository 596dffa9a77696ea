"""What a configuration leaves out, chosen by the family of its model."""

import dataclasses
from pathlib import Path

from keras_s2s import models
from keras_s2s.config import Config, ModelConfig
from keras_s2s.config.training import FEATURE_METRICS
from keras_s2s.errors import UserError
from keras_s2s.metrics import SCORERS

__all__ = ["complete", "describe_choices"]

CPU = Path("/proc/cpuinfo")
TRANSFORMERS = ("transformer", "fast_transformer")  # kinds of decoders
WARM_UP = {True: 4000, False: 200}  # of Transformers, and of the others


def complete(config: Config, *, cpu_flags=None) -> Config:
    """The same configuration with nothing left out.

    - Transformers: Vaswani et al. 2017, section 5.3, with the rate given as its peak
      (width * 4000)^-0.5: inverse_sqrt, 4000 updates of warm-up (a fifth of a shorter training),
      Adam with beta_2 = 0.98 and epsilon = 1e-9; mixed_bfloat16 on processors that compute with
      it, where it is a third faster, else float32.
    - Other models: Adam at 0.001, exponential (half of the training at the full rate, then halved
      five times), 200 updates of warm-up (a fifth of a shorter training); float32.
    - noam takes 1 for its learning rate, the factor of the paper.
    - `head` is regression where the target is frames.
    - `scores` are wer and per where target tokens are characters or symbols set apart by white
      space, else bleu and chrf, and `metric` too if it is one; `metric` is the loss.

    Args:
        config: as read.
        cpu_flags: the processor's, by default those of this machine.

    Raises:
        UserError: the model is not one of the catalogue's, or `metric` cannot be computed.
    """
    config = _with_head(config)
    model = ModelConfig(**models.resolve(config.model))
    transformer = model.decoder["kind"] in TRANSFORMERS
    training = _fill(config.training, _rates(transformer, model.decoder["units"], config.training))
    policy = "mixed_bfloat16" if transformer and _fast_bfloat16(cpu_flags) else "float32"
    training = _fill(training, {"policy": policy, "metric": "loss"})
    training = dataclasses.replace(training, scores=_scores(config))
    _check_metric(config, training)
    return dataclasses.replace(config, model=model, training=training)


def _with_head(config):
    """The configuration with a head of frames where the target is."""
    if not config.data.frames()[1] or "kind" in config.model.head:
        return config
    head = {"kind": "regression", **config.model.head}
    return dataclasses.replace(config, model=dataclasses.replace(config.model, head=head))


def describe_choices(given: Config, completed: Config) -> str:
    """What `complete` chose, in one line; empty when nothing was left out."""
    before, after = given.to_dict()["training"], completed.to_dict()["training"]
    chosen = {name: value for name, value in after.items() if before[name] != value}
    if given.model.preset:
        chosen["model"] = given.model.preset
    return ", ".join(f"{name} {_show(value)}" for name, value in chosen.items())


def _fill(training, choices):
    """The choices for those fields that were left out, None or {}."""
    left_out = {name for name in choices if getattr(training, name) in (None, {})}
    return dataclasses.replace(training, **{name: choices[name] for name in left_out})


def _rates(transformer, width, training):
    schedule = training.schedule or ("inverse_sqrt" if transformer else "exponential")
    peak = float(f"{(width * 4000) ** -0.5:.1e}") if transformer else 0.001
    choices = {
        "schedule": schedule,
        "learning_rate": 1.0 if schedule == "noam" else peak,
        "warmup": max(1, min(WARM_UP[transformer], training.updates // 5)),
    }
    if transformer and training.optimizer in ("adam", "adamw"):
        choices["optimizer_options"] = {"beta_2": 0.98, "epsilon": 1e-9}
    return choices


def _fast_bfloat16(cpu_flags) -> bool:
    if cpu_flags is None:
        lines = CPU.read_text().splitlines() if CPU.exists() else []
        flags = next((line for line in lines if line.startswith("flags")), "")
        cpu_flags = flags.split()
    return "avx512_bf16" in cpu_flags or "amx_bf16" in cpu_flags


def _scores(config):
    if config.data.valid is None or config.training.validate_lines == 0:
        return []
    if config.data.frames()[1]:
        return []
    scores, metric = config.training.scores, config.training.metric
    if scores is None:
        symbols = config.data.tokenizers()[1].kind in ("characters", "whitespace")
        scores = ["wer", "per"] if symbols else ["bleu", "chrf"]
    return [*scores, metric] if metric in SCORERS and metric not in scores else list(scores)


def _check_metric(config, training):
    metric = config.training.metric
    framed = config.data.frames()[1]
    if metric not in (None, "loss") and (metric in FEATURE_METRICS) != framed:
        known = (
            ("loss", *FEATURE_METRICS) if framed else ("loss", "accuracy", "perplexity", *SCORERS)
        )
        of = "frames" if framed else "tokens"
        raise UserError(
            f"training.metric: expected one of {', '.join(known)} for a target of {of}, came"
            f" {metric}"
        )
    if metric not in (None, "loss") and config.data.valid is None:
        raise UserError(f"data.valid: expected a corpus to compute {metric} on, came none")
    if training.tensorboard.attention and config.data.valid is None:
        needs = "expected a corpus of pairs for training.tensorboard to look at, came none"
        raise UserError(f"data.valid: {needs}")
    if training.patience is not None and config.data.valid is None:
        raise UserError("data.valid: expected a corpus for training.patience to go by, came none")
    if metric in SCORERS and training.validate_lines == 0:
        needs = f"{metric} is computed on decoded lines, and training.validate_lines is 0"
        raise UserError(f"training.metric: {needs}; expected loss, accuracy or perplexity")


def _show(value):
    if isinstance(value, list):
        return "+".join(value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())
    return str(value)
