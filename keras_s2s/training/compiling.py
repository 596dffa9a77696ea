"""A configuration's model, compiled."""

import keras

from keras_s2s import catalog, schedules
from keras_s2s.callbacks import TargetTokens
from keras_s2s.checkpoints import named_weights, pick
from keras_s2s.config import Config, UserError
from keras_s2s.metrics import Perplexity, TokenAccuracy

__all__ = ["compiled"]


def compiled(config: Config, pair) -> keras.Model:
    """The model that a complete configuration describes, ready for `fit`.

    Args:
        config: as `defaults.complete` gives it.
        pair: the source's and the target's tokenizer.

    Raises:
        UserError: naming the key whose value does not do.
    """
    training = config.training
    if config.model.tie == "all" and pair[0].vocabulary != pair[1].vocabulary:
        shared = "data.tokenizer: expected shared: true where model.tie is all"
        raise UserError(f"{shared}, came two vocabularies")
    model = catalog.build(
        config.model, pair[0].size, pair[1].size,
        label_smoothing=training.label_smoothing, policy=training.policy,
    )  # fmt: skip
    _freeze(model, training.freeze or ())
    model.compile(
        _optimizer(training, config.model.decoder["units"]),
        weighted_metrics=[TokenAccuracy(), Perplexity(), TargetTokens()],
        jit_compile=False,
    )
    # otherwise the first update makes its variables, and TensorFlow traces it twice
    model.optimizer.build(model.trainable_variables)
    model.configure_updates(training.accumulate)
    return model


def _freeze(model, patterns):
    weights = named_weights(model)
    for pattern in patterns:
        try:
            names = pick(weights, str(pattern))
        except UserError as error:
            raise UserError(f"training.freeze: {error}") from None
        for name in names:
            weights[name].trainable = False
    if not model.trainable_variables:
        raise UserError("training.freeze: expected a weight that is left to train, came all")


def _optimizer(training, width):
    try:
        rate = schedules.get(
            training.schedule, training.learning_rate,
            warmup=training.warmup, updates=training.updates, width=width,
        )  # fmt: skip
    except ValueError as error:
        raise UserError(f"training.{error}") from None
    cls = type(keras.optimizers.get(training.optimizer))
    options = {"global_clipnorm": training.clip_norm or None}
    if training.ema is not None:
        options |= {"use_ema": True, "ema_momentum": training.ema}
    try:
        return cls(rate, **options, **training.optimizer_options)
    except (TypeError, ValueError) as error:
        raise UserError(f"training.optimizer_options: {training.optimizer}: {error}") from None
