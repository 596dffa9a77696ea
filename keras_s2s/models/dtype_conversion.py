"""Conversion of models between dtype policies."""

from typing import Any

import keras

from keras_s2s.models.seq2seq import Seq2Seq

__all__ = ["with_policy"]


def with_policy(model: Seq2Seq, policy: str = "float32") -> Seq2Seq:
    """A model of the same weights with another dtype policy; the model itself if it has it.

    Layers that are float32 under every policy (embeddings, head) stay so. The new model is not
    compiled.

    Args:
        model: a built model.
        policy: Keras dtype policy, such as `"float32"`.

    Example:

    >>> from keras_s2s.config import ModelConfig
    >>> from keras_s2s.models import build, with_policy
    >>> model = build(ModelConfig(preset="gru_small"), 20, 20)
    >>> with_policy(model, "mixed_bfloat16").compute_dtype
    'bfloat16'
    """
    if model.dtype_policy.name == policy:
        return model
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    config = _replace_policies(config, model.dtype_policy.name, policy)
    converted = keras.saving.deserialize_keras_object(config)
    if not converted.built:
        converted.build()
    converted.set_weights(model.get_weights())
    return converted


def _replace_policies(config: Any, old: str, new: str) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] == old:
            return {**config, "config": {"name": new}}
        return {key: _replace_policies(value, old, new) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_replace_policies(value, old, new) for value in config)
    return config
