"""CTranslate2 specification of a Transformer: its weights under CTranslate2's names."""

from collections.abc import Collection
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.decoders import TransformerDecoder
from keras_s2s.encoders import TransformerEncoder
from keras_s2s.errors import UserError
from keras_s2s.heads import SoftmaxHead
from keras_s2s.layers.positions import SINUSOIDAL_KINDS as SINUSOIDS
from keras_s2s.layers.positions import sinusoidal_positions
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.tokenizers import RESERVED_TOKENS
from keras_s2s.translator import Translator

__all__ = ["check_parts", "make_spec", "optimize"]

PARTS = {
    "source": TokenEmbedding,
    "encoder": TransformerEncoder,
    "target": TokenEmbedding,
    "decoder": TransformerDecoder,
    "head": SoftmaxHead,
}
# Keras' name of an activation -> the member of CTranslate2's `Activation`. CTranslate2's GELU is
# the exact one, as is Keras' default, which no configuration can change.
ACTIVATIONS = {
    "gelu": "GELU",
    "relu": "RELU",
    "sigmoid": "Sigmoid",
    "silu": "SWISH",
    "tanh": "Tanh",
}
# Position encodings are stored: ours begin at 0, those that CTranslate2 computes begin at 1.
POSITIONS = 2048  # twice the number of source tokens that CTranslate2 reads by default


def check_parts(model: keras.Model) -> None:
    """Checks that CTranslate2 can run a model.

    Args:
        model: a `Seq2Seq` or an `Ensemble`.

    Raises:
        UserError: naming the part that it cannot run.
    """
    if not all(hasattr(model, part) for part in PARTS):
        raise UserError(f"model: expected one Transformer, got {type(model).__name__}")
    for part, kind in PARTS.items():
        actual = type(getattr(model, part))
        if actual is not kind:
            raise UserError(
                f"model.{part}: expected {kind.__name__}, which CTranslate2 can run,"
                f" got {actual.__name__}"
            )
    for part in ("encoder", "decoder"):
        _activation(part, getattr(model, part))
        positions = getattr(model, part).positions
        if positions not in SINUSOIDS:
            raise UserError(
                f"model.{part}.positions: expected one of {', '.join(SINUSOIDS)}, which the export"
                f" to CTranslate2 supports, got {positions!r}"
            )
    encoder_epsilon, decoder_epsilon = (
        getattr(model, part).epsilon for part in ("encoder", "decoder")
    )
    if encoder_epsilon != decoder_epsilon:
        raise UserError(
            f"model.decoder.epsilon: expected the encoder's, {encoder_epsilon}, as CTranslate2 has"
            f" only one, got {decoder_epsilon}"
        )


def make_spec(translator: Translator) -> Any:
    """Builds the specification of a translator's model, with weights and vocabularies.

    CTranslate2 adds the end token to every source, as `data.make_source` does, if the encoder
    reads it.

    Args:
        translator: a `Translator` whose model passes `check_parts`.

    Returns:
        A complete and validated `ctranslate2.specs.TransformerSpec`.
    """
    from ctranslate2 import specs

    model, caps = translator.model, translator.caps
    spec = specs.TransformerSpec(_empty_spec(model, "encoder"), _empty_spec(model, "decoder"))
    _set_config(spec, translator)
    num_positions = max(POSITIONS, caps["source_length"] + 1, caps["max_length"] + 1)
    for part, table, stack in (
        (spec.encoder, model.source, model.encoder),
        (spec.decoder, model.target, model.decoder),
    ):
        positions = tf.range(num_positions) + stack.first_position
        encodings = sinusoidal_positions(positions, stack.units, stack.positions)
        part.position_encodings.encodings = encodings.numpy()
        part.scale_embeddings = stack.scaled
        _set_stack(part, stack)
        embeddings = part.embeddings[0] if isinstance(part.embeddings, list) else part.embeddings
        embeddings.weight = _to_numpy(table.table)
    _set_head(spec.decoder.projection, model)
    spec.validate()
    return spec


def optimize(spec: Any, quantization: str) -> None:
    """Stores equal tables once, and weights in another type.

    Args:
        spec: specification from `make_spec`; changed in place.
        quantization: one of CTranslate2's type names.
    """
    from ctranslate2.specs import model_spec

    def to_bfloat16(owner, name, value):
        name = name.rpartition("/")[2]
        if hasattr(owner, f"{name}_scale") and quantization != "bfloat16":
            return  # becomes integers
        if isinstance(value, model_spec.NumpyVariable) and value.dtype == "float32" and value.shape:
            array = value.numpy().astype(tf.bfloat16.as_numpy_dtype)
            setattr(owner, name, model_spec.NumpyVariable(array))

    if quantization.endswith("bfloat16"):  # CTranslate2's own conversion needs PyTorch
        model_spec.visit_spec(spec, to_bfloat16)
    spec.optimize(quantization=quantization)


def _empty_spec(model: keras.Model, part: str) -> Any:
    """The specification of the encoder or decoder, without weights."""
    from ctranslate2 import specs

    stack = getattr(model, part)
    kind = {"encoder": specs.TransformerEncoderSpec, "decoder": specs.TransformerDecoderSpec}[part]
    # CTranslate2 returns the attention of one layer, the alignment's; 0 heads: the mean of all.
    options = {"alignment_layer": max(stack.num_layers - 2, 0), "alignment_heads": 0}
    return kind(
        stack.num_layers,
        stack.num_heads,
        pre_norm=stack.norm == "pre",
        activation=_activation(part, stack),
        **options if part == "decoder" else {},
    )


def _activation(part: str, stack: keras.layers.Layer) -> Any:
    from ctranslate2.specs import common_spec

    name = keras.activations.serialize(stack.layers[0].feed_forward.inner.activation)
    supported = {
        keras_name: member
        for keras_name, member in ACTIVATIONS.items()
        if hasattr(common_spec.Activation, member)
    }
    if name not in list(supported):
        raise UserError(
            f"model.{part}.activation: expected one of {', '.join(supported)}, which CTranslate2"
            f" supports, got {stack.activation!r}"
        )
    return common_spec.Activation[supported[name]]


def _set_config(spec: Any, translator: Translator) -> None:
    """Sets the vocabularies and config.json."""
    vocabularies = [
        list(tokenizer.vocabulary[len(RESERVED_TOKENS) :])
        for tokenizer in (translator.source_tokenizer, translator.target_tokenizer)
    ]
    used, special = {*vocabularies[0], *vocabularies[1]}, SpecialIds()
    names = [_unused_name(name, used) for name in RESERVED_TOKENS]
    spec.register_source_vocabulary(names + vocabularies[0])
    spec.register_target_vocabulary(names + vocabularies[1])
    config = spec.config
    config.unk_token, config.eos_token = names[special.unknown], names[special.end]
    config.bos_token = config.decoder_start_token = names[special.start]
    config.add_source_eos = translator.model.encoder.source_end
    config.layer_norm_epsilon = translator.model.encoder.epsilon


def _unused_name(name: str, used: Collection[str]) -> str:
    """A name for a special token that differs from all tokens of text."""
    while name in used:
        name = f"<{name}>"
    return name


def _set_stack(spec: Any, stack: keras.layers.Layer) -> None:
    for layer_spec, layer in zip(spec.layer, stack.layers, strict=True):
        attention, attention_spec = layer.self_attention, layer_spec.self_attention
        dense = [attention.input_projection, attention.output_projection]
        _set_sublayer(attention_spec, layer.self_norm, attention_spec.linear, dense)
        if layer.cross:
            attention, attention_spec = layer.cross_attention, layer_spec.attention
            dense = [attention.query_projection, attention.memory_projection]
            dense += [attention.output_projection]
            _set_sublayer(attention_spec, layer.cross_norm, attention_spec.linear, dense)
        dense = [layer.feed_forward.inner, layer.feed_forward.outer]
        linear_specs = [layer_spec.ffn.linear_0, layer_spec.ffn.linear_1]
        _set_sublayer(layer_spec.ffn, layer.feed_norm, linear_specs, dense)
    if stack.final_norm:
        _set_norm(spec.layer_norm, stack.final_norm)


def _set_sublayer(spec, norm, linear_specs, dense):
    """Sets a normalization and dense layers; both sides fuse queries, keys and values."""
    _set_norm(spec.layer_norm, norm)
    for linear_spec, layer in zip(linear_specs, dense, strict=True):
        linear_spec.weight, linear_spec.bias = _to_numpy(layer.kernel).T, _to_numpy(layer.bias)


def _set_norm(spec, norm):
    spec.gamma, spec.beta = _to_numpy(norm.gamma), _to_numpy(norm.beta)


def _set_head(spec, model):
    head = model.head
    if head.tied:
        spec.weight, spec.bias = _to_numpy(model.target.table), _to_numpy(head.bias)
    else:
        spec.weight = _to_numpy(head.projection.kernel).T
        spec.bias = _to_numpy(head.projection.bias)


def _to_numpy(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), "float32")
