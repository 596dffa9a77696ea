"""Construction of models from configurations."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.config import FactorSizes, ModelConfig, PartedSize
from keras_s2s.errors import UserError
from keras_s2s.layers.factored_embedding import FactoredEmbedding
from keras_s2s.layers.features import FeatureProjection
from keras_s2s.layers.multi_source_embeddings import MultiSourceEmbedding, ParallelEmbedding
from keras_s2s.layers.pointer_embedding import PointerEmbedding
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models.kinds import KINDS
from keras_s2s.models.resolution import resolve
from keras_s2s.models.seq2seq import Seq2Seq

__all__ = ["assemble", "build"]

FACTOR_KEYS = ("combine", "widths")  # the other keys of a side are for features


def build(
    model: ModelConfig,
    source_size: int | list[int] | FactorSizes | PartedSize,
    target_size: int,
    *,
    label_smoothing: float = 0.0,
    policy: str = "float32",
    frames: tuple[bool, bool] | None = None,
) -> Seq2Seq:
    """A built model of a configuration.

    Args:
        model: the configuration's `model` section.
        source_size, target_size: vocabulary sizes, the four special ids included; for features
            the number in a frame; a list of sizes for a parallel encoder of several sources, see
            `ParallelEmbedding`; `FactorSizes` for tokens with factors, `PartedSize` for several
            sources in one row of ids.
        label_smoothing: see `keras_s2s.losses.cross_entropy`.
        policy: Keras dtype policy of the layers between embeddings and head.
        frames: whether source and target are frames of features; None: both under a regression
            head, else neither.

    Returns:
        `Seq2Seq` over int32 [B, S] and [B, T], or features [B, S, F] and [B, T, F]; all weights
        exist, it is not compiled.

    Raises:
        UserError: naming the key whose value is invalid.

    Example:

    >>> from keras_s2s.config import ModelConfig
    >>> from keras_s2s.models import build
    >>> build(ModelConfig(preset="gru_small"), source_size=20, target_size=30).vocabulary_size
    30
    """
    try:
        seq2seq = assemble(
            resolve(model), source_size, target_size, label_smoothing, policy, frames
        )
        seq2seq.build()
        # Some errors need a source, such as that of states that cannot be copied.
        seq2seq.begin(_example_source(seq2seq.source, source_size), 1)
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"model: {error}") from error
    return seq2seq


def assemble(
    description: dict[str, Any],
    source_size: int | list[int] | FactorSizes | PartedSize,
    target_size: int,
    label_smoothing: float = 0.0,
    policy: str = "float32",
    frames: tuple[bool, bool] | None = None,
) -> Seq2Seq:
    """The model of a complete description, not built; other arguments as for `build`.

    Args:
        description: from `resolve`.
    """
    if frames is None:
        frames = (description["head"]["kind"] == "regression",) * 2
    encoder = _make_part("encoder", description["encoder"], dtype=policy)
    decoder = _make_part("decoder", description["decoder"], dtype=policy)
    if isinstance(source_size, PartedSize):
        _check_packed_sources(description["encoder"], source_size.parts)
    source = _make_input_layer("source", description, source_size, frames[0])
    target, head = _make_target_and_head(description, encoder, target_size, frames[1])
    return Seq2Seq(
        source, encoder, target, decoder, head, description["tie"], label_smoothing, dtype=policy
    )


def _make_part(part, description, **more):
    arguments = {key: value for key, value in description.items() if key != "kind"}
    if "encoders" in arguments:
        arguments["encoders"] = [
            _make_part(part, encoder, **more) for encoder in arguments["encoders"]
        ]
    try:
        return KINDS[part][description["kind"]](**arguments, **more)
    except (ValueError, TypeError) as error:
        raise UserError(f"model.{part}: {error}") from error


def _make_target_and_head(description, encoder, size, has_features):
    """The layer for targets and the head.

    A pointer network's vocabulary is the source; a regression head has the width of a frame.
    """
    kind = description["head"]["kind"]
    if KINDS["head"][kind].is_pointer:
        target = PointerEmbedding(description["embedding"], encoder.width)
        return target, _make_part("head", description["head"])
    argument = "features" if kind == "regression" else "vocabulary_size"
    target = _make_input_layer("target", description, size, has_features)
    return target, _make_part("head", description["head"], **{argument: size})


def _make_input_layer(
    side: str, description: dict[str, Any], size: Any, has_features: bool
) -> keras.layers.Layer:
    """The layer of a side's inputs: an embedding of tokens, or a projection of features."""
    embedding, options = description["embedding"], description[side]
    if has_features:
        for key in options.keys() & set(FACTOR_KEYS):
            raise UserError(f"model.{side}.{key}: expected none for a side of frames, got one")
        return FeatureProjection(size, embedding, **options)
    if isinstance(size, FactorSizes):
        return _make_factored_embedding(embedding, options, size.sizes)
    if options:
        key = next(iter(options))
        raise UserError(f"model.{side}.{key}: expected none for a side of text, got one")
    if isinstance(size, PartedSize):
        return MultiSourceEmbedding(size.size, embedding)
    if isinstance(size, list):
        return ParallelEmbedding([TokenEmbedding(source, embedding) for source in size])
    return TokenEmbedding(size, embedding)


def _make_factored_embedding(embedding, options, sizes):
    """Embeddings of factors, together of the width `embedding`."""
    if "norm" in options:
        raise UserError("model.source.norm: expected none for a side of text, got one")
    combine = options.get("combine", "concat")
    if combine not in ("concat", "sum"):
        raise UserError(f"model.source.combine: expected concat or sum, got {combine!r}")
    widths = _factor_widths(combine, options.get("widths"), len(sizes), embedding)
    tables = [TokenEmbedding(size, width) for size, width in zip(sizes, widths)]
    return FactoredEmbedding(tables, combine)


def _factor_widths(combine, widths, count, embedding):
    """The width of each factor's embedding: as configured, or an eighth for all but the first."""
    if combine == "sum":
        if widths is not None:
            raise UserError(f"model.source.widths: expected none beside sum, got {widths!r}")
        return [embedding] * count
    if widths is None:
        width = max(1, embedding // 8)
        widths = [embedding - width * (count - 1), *[width] * (count - 1)]
    is_valid = isinstance(widths, list) and len(widths) == count
    is_valid = is_valid and all(type(width) is int and width > 0 for width in widths)
    if not is_valid or sum(widths) != embedding:
        expected = f"expected {count} positive integers whose sum is the embedding's {embedding}"
        raise UserError(f"model.source.widths: {expected}, got {widths!r}")
    return widths


def _check_packed_sources(encoder, num_sources):
    """Several sources in one row of ids need one encoder each."""
    kind, count = encoder["kind"], len(encoder.get("encoders", ()))
    if kind != "parallel" or count != num_sources or encoder["combine"] != "time":
        expected = f"expected kind parallel, {num_sources} encoders and combine time"
        expected += f" for {num_sources} sources"
        got = f"{kind} of {count}, {encoder['combine']}" if kind == "parallel" else kind
        raise UserError(f"model.encoder: {expected}, got {got}")


def _example_source(source, size):
    """A source of one position; of several sources, one position each."""
    if source.input_key == "features":
        return {"features": tf.zeros([1, 1, size]), "mask": tf.ones([1, 1], tf.bool)}
    ids = tf.zeros([1, 1], tf.int32)
    if isinstance(size, list):
        return {"ids": [ids] * len(size), "mask": tf.ones([1, len(size)], tf.bool)}
    return {"ids": ids, "mask": tf.ones([1, 1], tf.bool)}
