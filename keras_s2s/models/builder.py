"""Models by name: presets, and any encoder under any decoder under any head."""

import difflib
import inspect

import keras
import tensorflow as tf

from keras_s2s.config import FactorSizes, ModelConfig, MultiSourceSize
from keras_s2s.decoders import (
    ConditionalDecoder,
    ConvolutionalDecoder,
    FastTransformerDecoder,
    GNMTDecoder,
    LuongDecoder,
    NoAttentionDecoder,
    NoisyStatesDecoder,
    RecurrentDecoder,
    TransformerDecoder,
)
from keras_s2s.encoders import (
    ConvolutionalEncoder,
    GNMTEncoder,
    MeanEncoder,
    NoisyStatesEncoder,
    ParallelEncoder,
    PyramidalEncoder,
    RecurrentEncoder,
    SequentialEncoder,
    TransformerEncoder,
)
from keras_s2s.errors import UserError
from keras_s2s.heads import (
    AdaptiveSoftmaxHead,
    PointerGeneratorHead,
    PointerNetworkHead,
    RegressionHead,
    SoftmaxHead,
)
from keras_s2s.layers.factored_embedding import FactoredEmbedding
from keras_s2s.layers.features import FeatureProjection
from keras_s2s.layers.multi_source_embeddings import MultiSourceEmbedding, ParallelEmbedding
from keras_s2s.layers.pointer_embedding import PointerEmbedding
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models.presets import DEFAULT, PRESETS
from keras_s2s.models.seq2seq import Seq2Seq

__all__ = ["KINDS", "assemble", "build", "resolve", "with_policy"]

KINDS = {
    "encoder": {
        "recurrent": RecurrentEncoder,
        "transformer": TransformerEncoder,
        "pyramidal": PyramidalEncoder,
        "gnmt": GNMTEncoder,
        "mean": MeanEncoder,
        "convolutional": ConvolutionalEncoder,
        "noisy": NoisyStatesEncoder,
        "sequential": SequentialEncoder,
        "parallel": ParallelEncoder,
    },
    "decoder": {
        "recurrent": RecurrentDecoder,
        "conditional": ConditionalDecoder,
        "luong": LuongDecoder,
        "gnmt": GNMTDecoder,
        "plain": NoAttentionDecoder,
        "noisy": NoisyStatesDecoder,
        "transformer": TransformerDecoder,
        "fast_transformer": FastTransformerDecoder,
        "convolutional": ConvolutionalDecoder,
    },
    "head": {
        "softmax": SoftmaxHead,
        "adaptive_softmax": AdaptiveSoftmaxHead,
        "pointer_generator": PointerGeneratorHead,
        "pointer_network": PointerNetworkHead,
        "regression": RegressionHead,
    },
}
CORPUS = ("self", "vocabulary_size", "features", "tied")  # not for a configuration to say
SIDES = {"source": ("norm", "combine", "widths"), "target": ("norm", "first")}
OF_FACTORS = ("combine", "widths")  # the others are of frames
SHARED = (
    "units",
    "num_layers",
    "num_heads",
    "hidden_units",
    "norm",
    "activation",
    "dropout",
    "cell",
)


def resolve(model: ModelConfig) -> dict:
    """The complete description of a model: a preset with what the configuration sets over it.

    Args:
        model: the configuration's `model` section. Without a preset the parts named stand alone,
            and a part left out is that of the preset `gru`.

    Returns:
        dict of `embedding`, `tie`, `source`, `target`, `encoder`, `decoder`, `head`; each of the
        last three holds `kind` and every argument of its class; a composition's `encoders` are a
        list of such parts.

    Raises:
        UserError: naming the key: an unknown preset, kind or argument, with the nearest real one.
    """
    if model.preset is not None and model.preset not in PRESETS:
        raise UserError(_unknown("model.preset", model.preset, PRESETS))
    preset = PRESETS[model.preset or DEFAULT]
    found = {part: _part(part, preset[part], getattr(model, part) or {}) for part in KINDS}
    for part in ("encoder", "decoder"):
        if model.dropout is not None:
            _set_dropout(found[part], getattr(model, part) or {}, model.dropout)
    found |= {side: _side(side, preset.get(side, {}), getattr(model, side)) for side in SIDES}
    tie = model.tie
    if tie is None:
        ties = KINDS["head"][found["head"]["kind"]].supports_tying
        tie = preset.get("tie", "none") if ties else "none"
    found["tie"] = {True: "output", False: "none"}.get(tie, tie)
    found["embedding"] = model.embedding or _embedding(model, preset, found)
    for part in ("encoder", "decoder"):
        found[part] = _place_embedding(found[part], found["embedding"])
    return found


def _place_embedding(part, width):
    """`source_units: embedding` of a part, or of the attention in it, as the number that it is."""
    if not isinstance(part, dict):
        return part
    placed = {key: _place_embedding(value, width) for key, value in part.items()}
    return placed | ({"source_units": width} if part.get("source_units") == "embedding" else {})


def _embedding(model, preset, found):
    """Some parts read vectors of their own width; elsewhere the preset says."""
    for part in ("encoder", "decoder"):
        for first in _readers(found[part]):
            if KINDS[part][first["kind"]].has_fixed_input_width:
                return first["units"]
    own = model.encoder or {}
    return own.get("units", preset["embedding"])


def _readers(part):
    """The parts of a composition that read the embedded source; any other part is its own."""
    if "encoders" not in part:
        return [part]
    firsts = part["encoders"][:1] if part["kind"] == "sequential" else part["encoders"]
    return [reader for first in firsts for reader in _readers(first)]


def _set_dropout(part, own, rate):
    """The model's rate where a part has one and does not say its own."""
    if "dropout" in part and "dropout" not in own:
        part["dropout"] = rate
    for inner, own_inner in zip(part.get("encoders", []), own.get("encoders", [])):
        _set_dropout(inner, own_inner, rate)


def _side(side, preset, own):
    for key in own:
        if key not in SIDES[side]:
            raise UserError(_unknown(f"model.{side}", key, SIDES[side], what="key"))
    return {**preset, **own}


def _part(part, preset, own, place=None):
    """One part: the preset's arguments under the configuration's own, checked and complete."""
    place, kind = place or f"model.{part}", own.get("kind", preset["kind"])
    if kind not in list(KINDS[part]):  # a list: `kind` may be anything that YAML can say
        raise UserError(_unknown(f"{place}.kind", kind, KINDS[part]))
    defaults = _arguments(KINDS[part][kind])
    base = preset if kind == preset["kind"] else {k: preset[k] for k in SHARED if k in preset}
    known = {k: v for k, v in base.items() if k in defaults}
    for key in own:
        if key != "kind" and key not in defaults:
            raise UserError(_unknown(place, key, defaults, what="key"))
    units = own.get("units", 1)
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        expected = "expected an integer of at least 1"
        raise UserError(f"{place}.units: {expected}, came {units!r}")
    share = own.get("dropout", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise UserError(
            f"{place}.dropout: expected a number of at least 0 and below 1, came {share!r}"
        )
    found = {"kind": kind, **defaults, **known, **own}
    if "encoders" in defaults:
        found["encoders"] = _inner(found["encoders"], preset, f"{place}.encoders")
    return found


def _inner(encoders, preset, place):
    """The parts of a composition."""
    if not isinstance(encoders, list) or not encoders:
        raise UserError(f"{place}: expected a list of encoders, came {encoders!r}")
    for own in encoders:
        if not isinstance(own, dict):
            raise UserError(f"{place}: expected a list of encoders with their keys, came {own!r}")
    return [_part("encoder", preset, own, f"{place}.{i}") for i, own in enumerate(encoders)]


def _arguments(cls):
    """Constructor arguments of a part with their defaults; the vocabulary is the corpus's."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {
        p.name: None if p.default is p.empty else p.default
        for p in parameters
        if p.name not in CORPUS and p.kind is not p.VAR_KEYWORD
    }


def _unknown(place, came, known, what="one"):
    near = difflib.get_close_matches(str(came), list(known), 1)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    if what == "key":
        expected = f"one of {', '.join(known)}{hint}" if known else "none but kind"
        return f"{place}.{came}: unknown key, expected {expected}"
    return f"{place}: expected one of {', '.join(known)}, came {came!r}{hint}"


def build(
    model: ModelConfig,
    source_size: int | list[int] | FactorSizes | MultiSourceSize,
    target_size: int,
    *,
    label_smoothing: float = 0.0,
    policy: str = "float32",
    frames: tuple[bool, bool] | None = None,
) -> Seq2Seq:
    """A built model of a configuration.

    Args:
        model: the configuration's `model` section.
        source_size, target_size: vocabulary sizes, the four special ids included; of a side of
            frames the numbers in one; a list of the former for a parallel encoder of several
            sources, see `ParallelEmbedding`; `FactorSizes` for tokens with factors, `MultiSourceSize`
            for several sources in one row of ids.
        label_smoothing: see `keras_s2s.losses.cross_entropy`.
        policy: Keras dtype policy of the layers between embeddings and head.
        frames: whether source and target are frames; None: both under a regression head, else
            neither.

    Returns:
        `Seq2Seq` over int32 [B, S] and [B, T], or frames [B, S, F] and [B, T, F], not compiled,
        every weight made.

    Raises:
        UserError: naming the key whose value does not do.
    """
    try:
        made = assemble(resolve(model), source_size, target_size, label_smoothing, policy, frames)
        made.build()
        # What only shows when a source meets the parts, such as states that cannot be copied.
        made.begin(_example(made.source, source_size), 1)
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"model: {error}") from error
    return made


def assemble(found, source_size, target_size, label_smoothing=0.0, policy="float32", frames=None):
    """The model of a complete description, not built; arguments as of `build`.

    Args:
        found: from `resolve`.
    """
    frames = (found["head"]["kind"] == "regression",) * 2 if frames is None else frames
    encoder, decoder = (_make(part, found[part], dtype=policy) for part in ("encoder", "decoder"))
    if isinstance(source_size, MultiSourceSize):
        _check_parts(found["encoder"], source_size.parts)
    source = _reader("source", found, source_size, frames[0])
    target, head = _target(found, encoder, target_size, frames[1])
    return Seq2Seq(
        source, encoder, target, decoder, head, found["tie"], label_smoothing, dtype=policy
    )


def _reader(side, found, size, framed):
    """What reads a side: an embedding of tokens, or a projection of frames."""
    if framed:
        for key in found[side].keys() & set(OF_FACTORS):
            raise UserError(f"model.{side}.{key}: expected none for a side of frames, came one")
        return FeatureProjection(size, found["embedding"], **found[side])
    if isinstance(size, FactorSizes):
        return _factored(found, size.sizes)
    if found[side]:
        key = next(iter(found[side]))
        raise UserError(f"model.{side}.{key}: expected none for a side of text, came one")
    if isinstance(size, MultiSourceSize):
        return MultiSourceEmbedding(size.size, found["embedding"])
    if isinstance(size, list):
        return ParallelEmbedding([TokenEmbedding(one, found["embedding"]) for one in size])
    return TokenEmbedding(size, found["embedding"])


def _factored(found, sizes):
    """Embeddings of factors whose vectors are together of the embedding's width."""
    total, own = found["embedding"], dict(found["source"])
    if "norm" in own:
        raise UserError("model.source.norm: expected none for a side of text, came one")
    combine, widths = own.get("combine", "concat"), own.get("widths")
    if combine not in ("concat", "sum"):
        raise UserError(f"model.source.combine: expected concat or sum, came {combine!r}")
    if combine == "sum":
        if widths is not None:
            raise UserError(f"model.source.widths: expected none beside sum, came {widths!r}")
        widths = [total] * len(sizes)
    elif widths is None:
        more = max(1, total // 8)
        widths = [total - more * (len(sizes) - 1), *[more] * (len(sizes) - 1)]
    fits = isinstance(widths, list) and len(widths) == len(sizes)
    fits = fits and all(type(width) is int and width > 0 for width in widths)
    if not fits or combine == "concat" and sum(widths) != total:
        expected = f"expected {len(sizes)} positive integers whose sum is the embedding's {total}"
        raise UserError(f"model.source.widths: {expected}, came {widths!r}")
    tables = [TokenEmbedding(size, width) for size, width in zip(sizes, widths)]
    return FactoredEmbedding(tables, combine)


def _check_parts(encoder, parts):
    kind, count = encoder["kind"], len(encoder.get("encoders", ()))
    if kind != "parallel" or count != parts or encoder["combine"] != "time":
        expected = f"expected kind parallel, {parts} encoders and combine time for {parts} sources"
        came = f"{kind} of {count}, {encoder['combine']}" if kind == "parallel" else kind
        raise UserError(f"model.encoder: {expected}, came {came}")


def _target(found, encoder, size, framed):
    """What reads the target, and the head.

    A pointer network has no vocabulary but the source; a regression head's width is the frames'.
    """
    kind = found["head"]["kind"]
    if KINDS["head"][kind].is_pointer:
        return PointerEmbedding(found["embedding"], encoder.width), _make("head", found["head"])
    width = "features" if kind == "regression" else "vocabulary_size"
    return _reader("target", found, size, framed), _make("head", found["head"], **{width: size})


def _example(source, size):
    """A source of one position; of several sources one in each."""
    if source.input_key == "features":
        return {"features": tf.zeros([1, 1, size]), "mask": tf.ones([1, 1], tf.bool)}
    ids = tf.zeros([1, 1], tf.int32)
    if isinstance(size, list):
        return {"ids": [ids] * len(size), "mask": tf.ones([1, len(size)], tf.bool)}
    return {"ids": ids, "mask": tf.ones([1, 1], tf.bool)}


def _make(part, description, **more):
    arguments = {k: v for k, v in description.items() if k != "kind"}
    if "encoders" in arguments:
        arguments["encoders"] = [_make(part, inner, **more) for inner in arguments["encoders"]]
    try:
        return KINDS[part][description["kind"]](**arguments, **more)
    except (ValueError, TypeError) as error:
        raise UserError(f"model.{part}: {error}") from error


def with_policy(model: Seq2Seq, policy: str = "float32") -> Seq2Seq:
    """The same weights under another dtype policy; the model itself when it has that policy.

    What is float32 under every policy (embeddings, head) stays so. The new model is not compiled.

    Args:
        model: a built model.
        policy: Keras dtype policy, such as `"float32"`.
    """
    if model.dtype_policy.name == policy:
        return model
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    config = _replace_policies(config, model.dtype_policy.name, policy)
    made = keras.saving.deserialize_keras_object(config)
    if not made.built:
        made.build()
    made.set_weights(model.get_weights())
    return made


def _replace_policies(config, old, new):
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] == old:
            return {**config, "config": {"name": new}}
        return {key: _replace_policies(value, old, new) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_replace_policies(value, old, new) for value in config)
    return config
