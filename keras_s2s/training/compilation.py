"""The compiled model of a configuration."""

import gc
import re
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from keras_s2s import models, schedules
from keras_s2s.callbacks import TargetTokens
from keras_s2s.checkpoints import match_weights, named_weights
from keras_s2s.config import Config, Training
from keras_s2s.errors import UserError
from keras_s2s.losses.criterion import Criterion
from keras_s2s.metrics import (
    MeanAbsoluteError,
    Perplexity,
    RootMeanSquaredError,
    TokenAccuracy,
)

__all__ = ["build_compiled_model", "check_buildable", "head_class", "uses_pointer_network"]

# Keras optimizer arguments and the configuration keys that set them.
RESERVED_OPTIONS = {
    "learning_rate": "learning_rate",
    "global_clipnorm": "clip_norm",
    "gradient_accumulation_steps": "accumulate",
    "use_ema": "ema",
    "ema_momentum": "ema",
}


def head_class(config: Config) -> type:
    """The class of the model's head."""
    return models.KINDS["head"][models.resolve(config.model)["head"]["kind"]]


def uses_pointer_network(config: Config) -> bool:
    """Whether the model is a pointer network, whose target has no vocabulary."""
    return head_class(config).is_pointer


def check_buildable(config: Config) -> None:
    """Builds a small model, to report errors before tokenizers are trained, which can take hours.

    Raises:
        UserError: as `build_compiled_model`.
    """
    _build_optimizer(config.training, config.model.decoder["units"])
    model = _build(config, 8, 8)
    _freeze(model, config.training.freeze or ())
    try:
        Criterion(config.training.objectives, model)
    except ValueError as error:
        raise UserError(f"training.objectives.{error}") from None
    noise = config.data.noise
    if model.head.is_pointer and (noise.drop or noise.replace):
        expected = "expected no drop and no replace for a pointer network, which points at words"
        raise UserError(f"data.noise: {expected}, got {noise}")
    del model
    gc.collect()  # a model contains reference cycles, and the next one may need its memory


def build_compiled_model(config: Config, tokenizers: tuple) -> keras.Model:
    """Builds the model of a complete configuration and compiles it for `fit`.

    Args:
        config: the result of `complete`.
        tokenizers: the source tokenizer and the target tokenizer.

    Raises:
        UserError: an invalid value; the key is named.
    """
    training = config.training
    source, target = tokenizers
    if config.model.tie == "all" and source.vocabulary != target.vocabulary:
        expected = "expected shared: true where model.tie is all"
        raise UserError(f"data.tokenizer: {expected}, got two vocabularies")
    model = _build(
        config,
        source.input_size,
        target.size,
        label_smoothing=training.label_smoothing,
        policy=training.policy,
    )
    if model.has_feature_targets:
        metrics = [MeanAbsoluteError(), RootMeanSquaredError()]
    else:
        metrics = [TokenAccuracy(), Perplexity()]
    _freeze(model, training.freeze or ())
    model.compile(
        _build_optimizer(training, config.model.decoder["units"]),
        weighted_metrics=[*metrics, TargetTokens()],
        jit_compile=False,
    )
    # Otherwise the first update creates the variables, and TensorFlow traces it twice.
    model.optimizer.build(model.trainable_variables)
    model.configure_updates(training.accumulate)
    model.configure_objectives(training.objectives)
    return model


def _build(config: Config, *sizes: Any, **options: Any) -> keras.Model:
    return models.build(config.model, *sizes, frames=config.data.has_features, **options)


def _freeze(model: keras.Model, patterns: Iterable[str]) -> None:
    weights = named_weights(model)
    for pattern in patterns:
        try:
            names = match_weights(weights, str(pattern))
        except UserError as error:
            raise UserError(f"training.freeze: {error}") from None
        for name in names:
            weights[name].trainable = False
    if not model.trainable_variables:
        raise UserError("training.freeze: expected a weight that is left to train, got all")


def _build_optimizer(training: Training, width: int) -> keras.optimizers.Optimizer:
    try:
        rate = schedules.get(
            training.schedule,
            training.learning_rate,
            warmup=training.warmup,
            updates=training.updates,
            width=width,
        )
    except ValueError as error:
        raise UserError(f"training.{error}") from None
    cls = type(keras.optimizers.get(training.optimizer))
    options: dict[str, Any] = {"global_clipnorm": training.clip_norm or None}
    if training.ema is not None:
        options |= {"use_ema": True, "ema_momentum": training.ema}
    for name, key in RESERVED_OPTIONS.items():
        if name in training.optimizer_options:
            raise UserError(f"training.optimizer_options: expected training.{key}, got {name}")
    try:
        # Some invalid values are only reported by an update, so a second instance makes one.
        trial = cls(rate, **options, **training.optimizer_options)
        trial.apply_gradients([(tf.ones([1]), keras.Variable([1.0]))])
        return cls(rate, **options, **training.optimizer_options)
    except (TypeError, ValueError, AttributeError, tf.errors.OpError) as error:
        text = re.sub(r"\{\{.*?\}\} | \[Op:.*", "", " ".join(str(error).split()))
        raise UserError(f"training.optimizer_options: {training.optimizer}: {text}") from None
