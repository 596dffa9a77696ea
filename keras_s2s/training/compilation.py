"""A configuration's model, compiled."""

import gc
import re

import keras
import tensorflow as tf

from keras_s2s import models, schedules
from keras_s2s.callbacks import TargetTokens
from keras_s2s.checkpoints import match_weights, named_weights
from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.losses.criterion import Criterion
from keras_s2s.metrics import (
    MeanAbsoluteError,
    Perplexity,
    RootMeanSquaredError,
    TokenAccuracy,
)

__all__ = ["build_compiled_model", "check_buildable"]

# Options of Keras' optimizers that keys of their own stand for.
OURS = {
    "learning_rate": "learning_rate",
    "global_clipnorm": "clip_norm",
    "gradient_accumulation_steps": "accumulate",
    "use_ema": "ema",
    "ema_momentum": "ema",
}


def check_buildable(config: Config) -> None:
    """Raises what `build_compiled_model` would, before there are vocabularies: they can take hours to make.

    Raises:
        UserError: naming the key whose value does not do.
    """
    _optimizer(config.training, config.model.decoder["units"])
    model = _build(config, 8, 8)
    _freeze(model, config.training.freeze or ())
    try:
        Criterion(config.training.objectives, model)
    except ValueError as error:
        raise UserError(f"training.objectives.{error}") from None
    noise = config.data.noise
    if model.head.is_pointer and (noise.drop or noise.replace):
        expected = "expected no drop and no replace for a pointer network, which points at words"
        raise UserError(f"data.noise: {expected}, came {noise}")
    del model
    gc.collect()  # a model is full of cycles, and the next one may need its memory


def build_compiled_model(config: Config, pair) -> keras.Model:
    """The model that a complete configuration describes, ready for `fit`.

    Args:
        config: as `defaults.complete` gives it.
        pair: the source's and the target's tokenizer, or `Frames`.

    Raises:
        UserError: naming the key whose value does not do.
    """
    training = config.training
    if config.model.tie == "all" and pair[0].vocabulary != pair[1].vocabulary:
        shared = "data.tokenizer: expected shared: true where model.tie is all"
        raise UserError(f"{shared}, came two vocabularies")
    model = _build(
        config,
        pair[0].input_size,
        pair[1].size,
        label_smoothing=training.label_smoothing,
        policy=training.policy,
    )
    metrics = [MeanAbsoluteError(), RootMeanSquaredError()]
    metrics = metrics if model.has_feature_targets else [TokenAccuracy(), Perplexity()]
    _freeze(model, training.freeze or ())
    model.compile(
        _optimizer(training, config.model.decoder["units"]),
        weighted_metrics=[*metrics, TargetTokens()],
        jit_compile=False,
    )
    # otherwise the first update makes its variables, and TensorFlow traces it twice
    model.optimizer.build(model.trainable_variables)
    model.configure_updates(training.accumulate)
    model.configure_objectives(training.objectives)
    return model


def _build(config, *sizes, **options):
    return models.build(config.model, *sizes, frames=config.data.frames(), **options)


def _freeze(model, patterns):
    weights = named_weights(model)
    for pattern in patterns:
        try:
            names = match_weights(weights, str(pattern))
        except UserError as error:
            raise UserError(f"training.freeze: {error}") from None
        for name in names:
            weights[name].trainable = False
    if not model.trainable_variables:
        raise UserError("training.freeze: expected a weight that is left to train, came all")


def _optimizer(training, width):
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
    options = {"global_clipnorm": training.clip_norm or None}
    if training.ema is not None:
        options |= {"use_ema": True, "ema_momentum": training.ema}
    for name, instead in OURS.items():
        if name in training.optimizer_options:
            raise UserError(f"training.optimizer_options: expected training.{instead}, came {name}")
    try:
        made = [cls(rate, **options, **training.optimizer_options) for _ in range(2)]
        # some values show only in an update that they cannot do
        made[0].apply_gradients([(tf.ones([1]), keras.Variable([1.0]))])
    except (TypeError, ValueError, AttributeError, tf.errors.OpError) as error:
        said = re.sub(r"\{\{.*?\}\} | \[Op:.*", "", " ".join(str(error).split()))
        raise UserError(f"training.optimizer_options: {training.optimizer}: {said}") from None
    return made[1]
