"""A Transformer's weights in the order and under the names that CTranslate2 gives them."""

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

__all__ = ["check_parts", "make_spec", "optimize"]

PARTS = {
    "source": TokenEmbedding,
    "encoder": TransformerEncoder,
    "target": TokenEmbedding,
    "decoder": TransformerDecoder,
    "head": SoftmaxHead,
}
# Keras's name of an activation -> the member of CTranslate2's `Activation`. Its GELU is the exact
# one, as is Keras's unless asked otherwise, which no configuration can.
ACTIVATIONS = {
    "gelu": "GELU",
    "relu": "RELU",
    "sigmoid": "Sigmoid",
    "silu": "SWISH",
    "tanh": "Tanh",
}
# Positions are written out: ours begin at 0, the ones that it computes by itself at 1.
POSITIONS = 2048  # twice what CTranslate2 reads of a source unless told otherwise


def check_parts(model):
    """Refuses a model that CTranslate2 cannot run.

    Args:
        model: a `Seq2Seq` or an `Ensemble`.

    Raises:
        UserError: naming the part.
    """
    if not all(hasattr(model, part) for part in PARTS):
        raise UserError(f"model: expected one Transformer, came {type(model).__name__}")
    for part, kind in PARTS.items():
        came = type(getattr(model, part))
        if came is not kind:
            raise UserError(
                f"model.{part}: expected {kind.__name__}, which CTranslate2 can run,"
                f" came {came.__name__}"
            )
    for part in ("encoder", "decoder"):
        _activation(part, getattr(model, part))
        came = getattr(model, part).positions
        if came not in SINUSOIDS:
            raise UserError(
                f"model.{part}.positions: expected one of {', '.join(SINUSOIDS)}, which the export"
                f" to CTranslate2 knows, came {came!r}"
            )
    one, other = (getattr(model, part).epsilon for part in ("encoder", "decoder"))
    if one != other:
        raise UserError(
            f"model.decoder.epsilon: expected the encoder's, {one}, as CTranslate2 has only one,"
            f" came {other}"
        )


def make_spec(translator):
    """The model of a `Translator` as a `ctranslate2.specs.TransformerSpec`, complete and checked.

    It adds the end to every source by itself, as `data.make_source` does, if the encoder reads it.

    Args:
        translator: a `Translator` of a model that `check_parts` lets pass.
    """
    from ctranslate2 import specs

    model, caps = translator.model, translator.caps
    spec = specs.TransformerSpec(_empty(model, "encoder"), _empty(model, "decoder"))
    _describe(spec, translator)
    positions = max(POSITIONS, caps["source_length"] + 1, caps["max_length"] + 1)
    for own, table, stack in (
        (spec.encoder, model.source, model.encoder),
        (spec.decoder, model.target, model.decoder),
    ):
        places = tf.range(positions) + stack.first_position
        signal = sinusoidal_positions(places, stack.units, stack.positions)
        own.position_encodings.encodings = signal.numpy()
        own.scale_embeddings = stack.scaled
        _set_stack(own, stack)
        embeddings = own.embeddings[0] if isinstance(own.embeddings, list) else own.embeddings
        embeddings.weight = _read(table.table)
    _set_head(spec.decoder.projection, model)
    spec.validate()
    return spec


def optimize(spec, quantization):
    """Stores equal tables once, and weights in another type.

    Args:
        spec: from `make_spec`; changed in place.
        quantization: one of CTranslate2's names of types.
    """
    from ctranslate2.specs import model_spec

    def narrow(owner, name, value):
        name = name.rpartition("/")[2]
        if hasattr(owner, f"{name}_scale") and quantization != "bfloat16":
            return  # becomes integers
        if isinstance(value, model_spec.NumpyVariable) and value.dtype == "float32" and value.shape:
            array = value.numpy().astype(tf.bfloat16.as_numpy_dtype)
            setattr(owner, name, model_spec.NumpyVariable(array))

    if quantization.endswith("bfloat16"):  # which its own code does by PyTorch
        model_spec.visit_spec(spec, narrow)
    spec.optimize(quantization=quantization)


def _empty(model, part):
    """The specification of a stack of layers, without weights."""
    from ctranslate2 import specs

    stack = getattr(model, part)
    kind = {"encoder": specs.TransformerEncoderSpec, "decoder": specs.TransformerDecoderSpec}[part]
    # Attention that it gives out: the mean over the heads, 0 for all, of the alignment's layer.
    more = {"alignment_layer": max(stack.num_layers - 2, 0), "alignment_heads": 0}
    return kind(
        stack.num_layers,
        stack.num_heads,
        pre_norm=stack.norm == "pre",
        activation=_activation(part, stack),
        **more if part == "decoder" else {},
    )


def _activation(part, stack):
    from ctranslate2.specs import common_spec

    name = keras.activations.serialize(stack.layers[0].feed_forward.inner.activation)
    known = {
        ours: theirs
        for ours, theirs in ACTIVATIONS.items()
        if hasattr(common_spec.Activation, theirs)
    }
    if name not in list(known):
        raise UserError(
            f"model.{part}.activation: expected one of {', '.join(known)}, which CTranslate2 knows,"
            f" came {stack.activation!r}"
        )
    return common_spec.Activation[known[name]]


def _describe(spec, translator):
    """Vocabularies and config.json."""
    pieces = [
        list(tokenizer.vocabulary[len(RESERVED_TOKENS) :])
        for tokenizer in (translator.source_tokenizer, translator.target_tokenizer)
    ]
    taken, special = {*pieces[0], *pieces[1]}, SpecialIds()
    names = [_free(name, taken) for name in RESERVED_TOKENS]
    spec.register_source_vocabulary(names + pieces[0])
    spec.register_target_vocabulary(names + pieces[1])
    config = spec.config
    config.unk_token, config.eos_token = names[special.unknown], names[special.end]
    config.bos_token = config.decoder_start_token = names[special.start]
    config.add_source_eos = translator.model.encoder.source_end
    config.layer_norm_epsilon = translator.model.encoder.epsilon


def _free(name, taken):
    """A special token has a name of its own, though a piece of text may spell like it."""
    while name in taken:
        name = f"<{name}>"
    return name


def _set_stack(spec, stack):
    for own, layer in zip(spec.layer, stack.layers, strict=True):
        attention = layer.self_attention
        parts = [attention.input_projection, attention.output_projection]
        _set_part(own.self_attention, layer.self_norm, own.self_attention.linear, parts)
        if layer.cross:
            attention = layer.cross_attention
            parts = [attention.query_projection, attention.memory_projection]
            parts += [attention.output_projection]
            _set_part(own.attention, layer.cross_norm, own.attention.linear, parts)
        parts = [layer.feed_forward.inner, layer.feed_forward.outer]
        _set_part(own.ffn, layer.feed_norm, [own.ffn.linear_0, own.ffn.linear_1], parts)
    if stack.final_norm:
        _set_norm(spec.layer_norm, stack.final_norm)


def _set_part(spec, norm, linears, layers):
    """A residual's norm and its dense layers: queries, keys and values fused as ours are."""
    _set_norm(spec.layer_norm, norm)
    for own, layer in zip(linears, layers, strict=True):
        own.weight, own.bias = _read(layer.kernel).T, _read(layer.bias)


def _set_norm(spec, norm):
    spec.gamma, spec.beta = _read(norm.gamma), _read(norm.beta)


def _set_head(spec, model):
    head = model.head
    if head.tied:
        spec.weight, spec.bias = _read(model.target.table), _read(head.bias)
    else:
        spec.weight, spec.bias = _read(head.projection.kernel).T, _read(head.projection.bias)


def _read(variable):
    return np.asarray(keras.ops.convert_to_numpy(variable), "float32")
