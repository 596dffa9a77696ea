"""Model types of OpenNMT-tf, as sections `model`, and their automatic configuration.

Facts of OpenNMT-tf 2.32: models/catalog.py, models/transformer.py, layers/.
"""

import difflib
from dataclasses import dataclass, replace

from keras_s2s.errors import UserError

__all__ = ["TYPES", "Recurrent", "Transformer", "get_model_type"]

NORM_EPSILON = 1e-3  # Keras' default
FIRST_POSITION = 1
SHARINGS = ("none", "source_target_input", "target", "all", "auto")  # in the order of their values


@dataclass(frozen=True)
class Transformer:
    """A Transformer of OpenNMT-tf.

    Attributes:
        layers: number of layers of the encoder and of the decoder.
        units: width of the model.
        heads: number of attention heads.
        hidden: width of the feed-forward layer.
        norm: `"pre"` or `"post"`.
        activation: of the feed-forward layer.
        dropout: dropout rate.
        sharing: how embeddings are shared, one of `SHARINGS`.
        relative: maximum distance of relative positions, which replace sinusoidal ones; None for
            sinusoidal positions.
        biased: whether the output layer has a bias.
    """

    layers: tuple[int, int] = (6, 6)
    units: int = 512
    heads: int | None = 8
    hidden: int = 2048
    norm: str = "pre"
    activation: str = "relu"
    dropout: float = 0.1
    sharing: str = "none"
    relative: int | None = None
    biased: bool = True

    def section(self, *, same_vocabulary: bool, source_end: bool) -> dict:
        """The section `model`.

        Args:
            same_vocabulary: whether source and target use the same vocabulary file.
            source_end: whether sources end with `</s>`.
        """
        side = {"kind": "transformer", "units": self.units, "num_heads": self.heads}
        side |= {"hidden_units": self.hidden, "norm": self.norm, "activation": self.activation}
        side |= {"epsilon": NORM_EPSILON, "first_position": FIRST_POSITION}
        if self.relative is not None:
            side["positions"] = {"kind": "relative", "max_distance": self.relative}
        return {
            "embedding": self.units,
            "tie": self.tie(same_vocabulary),
            "dropout": self.dropout,
            "encoder": {**side, "num_layers": self.layers[0], "source_end": source_end},
            "decoder": {**side, "num_layers": self.layers[1]},
            "head": {"kind": "softmax"},
        }

    def tie(self, same_vocabulary: bool) -> str:
        """The value of `model.tie`."""
        automatic = "all" if same_vocabulary else "output"
        return {"target": "output", "all": "all", "auto": automatic}.get(self.sharing, "none")

    def remarks(self) -> list[str]:
        """How the model of this package differs from the original."""
        differences = []
        if self.sharing == "source_target_input":
            differences.append("source and target keep an embedding each")
        if not self.biased:
            differences.append("the output layer has a bias here")
        return differences

    def automatic(self) -> dict:
        """The values that `auto_config` sets."""
        params = {"average_loss_in_time": True, "label_smoothing": 0.1, "optimizer": "LazyAdam"}
        params |= {"optimizer_params": {"beta_1": 0.9, "beta_2": 0.998}, "learning_rate": 2.0}
        params |= {"decay_type": "NoamDecay"}
        params |= {"decay_params": {"model_dim": self.units, "warmup_steps": 8000}}
        train = {"effective_batch_size": 25000, "batch_size": 3072, "batch_type": "tokens"}
        train |= {"maximum_features_length": 100, "maximum_labels_length": 100}
        return _layered(
            {"params": params},
            {"train": train | {"keep_checkpoint_max": 8, "average_last_checkpoints": 8}},
        )


@dataclass(frozen=True)
class Recurrent:
    """LSTM encoder and decoder with Luong attention and input feeding.

    Attributes:
        layers: number of layers on either side.
        units: width of the decoder's layers.
        bidirectional: whether the encoder is bidirectional.
        dropout: dropout rate.
        embedding: width of the embeddings.
        stacked: whether each direction of the encoder is a separate stack.
        linear: whether the attention output has no tanh.
    """

    layers: int
    units: int
    bidirectional: bool = False
    dropout: float = 0.3
    embedding: int = 512
    stacked: bool = False
    linear: bool = False
    sharing = "none"

    def section(self, *, same_vocabulary: bool, source_end: bool) -> dict:
        """The section `model`; see `Transformer.section`."""
        side = {"kind": "recurrent", "cell": "lstm", "num_layers": self.layers}
        own = {"units": self.units // 2 if self.bidirectional else self.units}
        own |= {"bidirectional": self.bidirectional, "source_end": source_end}
        return {
            "embedding": self.embedding,
            "tie": "none",
            "dropout": self.dropout,
            "encoder": {**side, **own},
            "decoder": {**side, "kind": "luong", "units": self.units, "bridge": "copy"},
            "head": {"kind": "softmax"},
        }

    def remarks(self) -> list[str]:
        """How the model of this package differs from the original."""
        differences = []
        if self.linear:
            differences.append("a tanh over the attention's output")
        if self.bidirectional and self.stacked:
            differences.append("each layer reads both directions of the one below")
        return differences

    def automatic(self) -> dict:
        """The values that `auto_config` sets."""
        train = {"batch_size": 64, "maximum_features_length": 80, "maximum_labels_length": 80}
        params = {"optimizer": "Adam", "learning_rate": 0.0002}
        return _layered({"params": params, "train": train})


@dataclass(frozen=True)
class _Scaling(Transformer):
    """The Transformer of Ott et al. 2018, arXiv:1806.00187, in the catalogue of OpenNMT-tf."""

    learning_rate: float = 0.001
    effective: int = 458752

    def automatic(self):
        params = {"optimizer": "Adam", "learning_rate": self.learning_rate}
        params |= {"optimizer_params": {"beta_1": 0.9, "beta_2": 0.98, "epsilon": 1e-8}}
        params |= {"decay_type": "InvSqrtDecay"}
        params |= {"decay_params": {"warmup_steps": 4000, "initial_learning_rate": 1e-7}}
        # OpenNMT-tf sets save_checkpoint_steps too, which it never reads
        train = {"batch_size": 0, "effective_batch_size": self.effective}
        train |= {"maximum_features_length": 175, "maximum_labels_length": 175}
        train |= {"keep_checkpoint_max": 10, "average_last_checkpoints": 10}
        data = {"source_sequence_controls": {"end": True}}
        return _layered(super().automatic(), {"data": data, "params": params, "train": train})


def _layered(*layers):
    config = {"params": {"beam_width": 4}, "train": {"sample_buffer_size": -1, "max_step": 500000}}
    for layer in layers:
        for section, values in layer.items():
            config[section] = config.get(section, {}) | values
    return config


_BASE = Transformer()
_BIG = Transformer(units=1024, heads=16, hidden=4096)
_SCALING = _Scaling(
    units=1024, heads=16, hidden=4096, norm="post", dropout=0.3, sharing="auto", biased=False
)
TYPES = {
    "Transformer": _BASE,
    "TransformerTiny": Transformer((2, 2), 64, 2, 64),
    "TransformerBase": _BASE,
    "TransformerBaseSharedEmbeddings": replace(_BASE, sharing="all"),
    "TransformerBaseRelative": replace(_BASE, relative=20),
    "TransformerRelative": replace(_BASE, relative=20),
    "TransformerBig": _BIG,
    "TransformerBigSharedEmbeddings": replace(_BIG, sharing="all"),
    "TransformerBigRelative": replace(_BIG, relative=20),
    "ScalingNmtEnDe": _SCALING,
    "ScalingNmtEnFr": replace(_SCALING, dropout=0.1, learning_rate=0.0007, effective=655360),
    "LuongAttention": Recurrent(4, 1000, dropout=0.2),
    "NMTSmallV1": Recurrent(2, 512, linear=True),
    "NMTMediumV1": Recurrent(4, 512, bidirectional=True, stacked=True, linear=True),
    "NMTBigV1": Recurrent(4, 1024, bidirectional=True, stacked=True, linear=True),
}
# Model types without a counterpart, with the reason.
UNSUPPORTED_TYPES = {
    "ListenAttendSpell": "it reads vectors through a pyramid; keras-s2s reads text",
    "LstmCnnCrfTagger": "it labels the tokens of a sequence; keras-s2s writes another one",
    "GPT2Small": "it is a language model, without a source",
}


def get_model_type(name: str) -> Transformer | Recurrent:
    """Looks up a model type by its name in the catalogue of OpenNMT-tf.

    Raises:
        UserError: the name is unknown, or the model type has no counterpart.
    """
    if name in UNSUPPORTED_TYPES:
        raise UserError(f"--model-type: {name} has no counterpart: {UNSUPPORTED_TYPES[name]}")
    if name not in TYPES:
        matches = difflib.get_close_matches(name, TYPES, 1)
        hint = f"; the nearest is {matches[0]}" if matches else ""
        raise UserError(f"--model-type: expected one of {', '.join(TYPES)}, got {name!r}{hint}")
    return TYPES[name]
