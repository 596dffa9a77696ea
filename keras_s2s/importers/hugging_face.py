"""Configuration and run directories shared by the importers of Hugging Face models."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_s2s import checkpoints, models, tokenizers
from keras_s2s.config import Config, Decoding, Export, ModelConfig
from keras_s2s.errors import UserError
from keras_s2s.importers.transformer_weights import StackSizes, assign_weights
from keras_s2s.importers.vocabularies import read_json
from keras_s2s.io import new_directory
from keras_s2s.signatures.caps import CAPS

__all__ = ["LOGIT_OFFSET", "HuggingFaceConfig", "token_id", "write_run"]

ACTIVATIONS = {"swish": "silu", "silu": "silu", "relu": "relu", "gelu": "gelu", "tanh": "tanh"}
EPSILON = 1e-5  # default of PyTorch's layer normalisation, which configurations do not change
# Subtracted from the logits of duplicate and excluded tokens: it scales a probability by e^-30 and
# is finite, so that label smoothing stays finite.
LOGIT_OFFSET = 30.0


def write_run(run: Path | str, config: Config, pair: tuple, arrays: dict) -> Path:
    """Writes the run directory of an imported model; a failure leaves no directory.

    Args:
        run: the new directory.
        config: configuration of the run.
        pair: the tokenizers of source and target.
        arrays: every weight, by the names of `checkpoints.named_weights`.

    Returns:
        `run`.

    Raises:
        UserError: `run` exists, or an array is missing, unexpected, or has another shape.
    """
    with new_directory(run) as directory:
        model = models.build(config.model, *(side.size for side in pair))
        assign_weights(checkpoints.named_weights(model), arrays)
        tokenizers.save_pair(directory / "tokenizers", *pair)
        checkpoints.save(model, directory / "best", {"step": 0})
        checkpoints.copy(directory / "best", directory / checkpoints.IMPORTED)
        config.save(directory / "config.yml")
    return Path(run)


class HuggingFaceConfig:
    """Base class for checked settings of config.json and generation_config.json.

    A subclass defines `tie` and `layers`.

    Args:
        directory: the directory with the files.
        model_type: the expected value of `model_type`.

    Raises:
        UserError: naming the file and the key with an invalid value.
    """

    def __init__(self, directory: Path, model_type: str):
        self.path = directory / "config.json"
        self.raw = read_json(self.path)
        generation = directory / "generation_config.json"
        self.generation = self.raw | (read_json(generation) if generation.is_file() else {})
        self.expect("model_type", self.raw.get("model_type"), (model_type,))
        self.expect("activation_function", self.activation, ACTIVATIONS)

    @property
    def activation(self) -> str:
        """The activation of the feed-forward layers, by its name in Transformers."""
        return self.raw.get("activation_function", "gelu")

    @property
    def tie(self) -> str:
        """The value of `model.tie`."""
        raise NotImplementedError(f"{type(self).__name__} has to define tie")

    def layers(self) -> dict:
        """Arguments of `TransformerEncoder` that are specific to this type of model."""
        raise NotImplementedError(f"{type(self).__name__} has to define layers")

    def expect(self, key: str, value: Any, known: Iterable) -> None:
        """Checks that a value is one of the known ones.

        Raises:
            UserError: it is not.
        """
        if value not in list(known):
            names = ", ".join(map(str, known))
            raise UserError(f"{self.path}: {key}: expected one of {names}, got {value!r}")

    def integer(self, key: str, low: int = 1, high: int | None = None) -> int:
        """An integer of config.json, at least `low` and below `high`."""
        value = self.raw.get(key)
        if type(value) is not int or value < low or (high is not None and value >= high):
            limit = f"of at least {low}" + ("" if high is None else f" and below {high}")
            raise UserError(f"{self.path}: {key}: expected an integer {limit}, got {value!r}")
        return value

    def sizes(self, part: str) -> StackSizes:
        """The sizes of encoder or decoder."""
        return StackSizes(
            self.integer(f"{part}_layers"), self.integer("d_model"), self.integer(f"{part}_ffn_dim")
        )

    def config(self) -> Config:
        """The configuration of the imported run."""
        try:
            return Config(model=ModelConfig(**models.resolve(self._model())), **self.search())
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None

    def _model(self):
        return ModelConfig(
            embedding=self.integer("d_model"),
            tie=self.tie,
            encoder=self._stack("encoder"),
            decoder=self._stack("decoder"),
            head={"kind": "softmax"},
        )

    def _stack(self, part):
        layers, units, hidden = self.sizes(part)
        return {
            "kind": "transformer",
            "units": units,
            "num_layers": layers,
            "num_heads": self.integer(f"{part}_attention_heads"),
            "hidden_units": hidden,
            "activation": ACTIVATIONS[self.activation],
            "dropout": self.raw.get("dropout", 0.1),
            "epsilon": EPSILON,
            "scaled": self.raw.get("scale_embedding", False),
            **self.layers(),
        }

    def search(self) -> dict:
        """The sections `decoding` and `export`; missing keys keep the defaults of this package.

        Transformers divides scores by a power of the length, hence `length_offset: 0`. Its lengths
        count the start and end tokens, `decoding.max_length` counts neither.
        """
        options = {
            "beam_size": self.generation.get("num_beams"),
            "max_length": self.generation.get("max_length"),
            "no_repeat_ngram": self.generation.get("no_repeat_ngram_size"),
            "repetition_penalty": self.generation.get("repetition_penalty"),
        }
        options = {name: value for name, value in options.items() if value}
        if "max_length" in options:
            options["max_length"] = max(1, options["max_length"] - 2)
        length_penalty = self.generation.get("length_penalty")
        decoding = Decoding(
            length_penalty=1.0 if length_penalty is None else length_penalty,
            length_offset=0.0,
            **options,
        )
        caps = {name: max(CAPS[name], getattr(decoding, name)) for name in CAPS.keys() & options}
        renamed = {"max_beam_size" if name == "beam_size" else name: n for name, n in caps.items()}
        return {"decoding": decoding, "export": Export(**renamed)}


def token_id(path: Path, names: list, name: str) -> int:
    """The id of a token.

    Args:
        path: the vocabulary file, for the error message.
        names: its tokens in the order of ids.
        name: the token.

    Raises:
        UserError: the vocabulary does not have the token.
    """
    if name not in names:
        raise UserError(f"{path}: expected an id for {name}, got none")
    return names.index(name)
