"""What Hugging Face's directories have in common, whatever the model."""

from pathlib import Path

from keras_s2s import checkpoints, models, tokenizers
from keras_s2s.config import Config, Decoding, Export, ModelConfig, UserError, making
from keras_s2s.importers.transformer_weights import StackSizes, assign_weights
from keras_s2s.importers.vocabularies import read_json
from keras_s2s.signatures.fields import CAPS

__all__ = ["LOGIT_OFFSET", "HuggingFaceConfig", "token_id", "write_run"]

ACTIVATIONS = {"swish": "silu", "silu": "silu", "relu": "relu", "gelu": "gelu", "tanh": "tanh"}
EPSILON = 1e-5  # of PyTorch's layer normalisation, which no configuration changes
# Taken from the logit of what stands beside its double, or must not take part: e^-30 of a
# probability, and finite, so that label smoothing stays so.
LOGIT_OFFSET = 30.0


def write_run(run, config: Config, pair, arrays: dict) -> Path:
    """Writes the run directory of an imported model; nothing is left of it by a failure.

    Args:
        run: the new directory.
        config: of the run.
        pair: the source's and the target's tokenizer.
        arrays: every weight, by the names that `checkpoints.named_weights` gives.

    Returns:
        `run`.

    Raises:
        UserError: it exists, or an array is missing, too many, or of another shape.
    """
    with making(run) as made:
        built = models.build(config.model, *(side.size for side in pair))
        assign_weights(checkpoints.named_weights(built), arrays)
        tokenizers.save_pair(made / "tokenizers", *pair)
        checkpoints.save(built, made / "best", {"step": 0})
        checkpoints.copy(made / "best", made / checkpoints.IMPORTED)
        config.save(made / "config.yml")
    return Path(run)


class HuggingFaceConfig:
    """config.json and generation_config.json, checked; a kind of model adds `tie` and `layers`.

    Args:
        directory: holds them.
        model_type: the one that is expected.

    Raises:
        UserError: naming the file and the key whose value does not do.
    """

    def __init__(self, directory, model_type):
        self.path = directory / "config.json"
        self.raw = read_json(self.path)
        generation = directory / "generation_config.json"
        self.generation = self.raw | (read_json(generation) if generation.is_file() else {})
        self.expect("model_type", self.raw.get("model_type"), (model_type,))
        self.expect("activation_function", self.activation, ACTIVATIONS)

    @property
    def activation(self):
        return self.raw.get("activation_function", "gelu")

    @property
    def tie(self):
        """What the model's `tie` is."""
        raise NotImplementedError(f"{type(self).__name__} has to define tie")

    def layers(self):
        """What sets this kind's stacks apart, as arguments of `TransformerEncoder`."""
        raise NotImplementedError(f"{type(self).__name__} has to define layers")

    def expect(self, key, value, known):
        """Refuses a value that is none of those known."""
        if value not in list(known):
            names = ", ".join(map(str, known))
            raise UserError(f"{self.path}: {key}: expected one of {names}, got {value!r}")

    def integer(self, key, low=1, high=None):
        """An integer of config.json, of `low` to below `high`."""
        value = self.raw.get(key)
        if type(value) is not int or value < low or (high is not None and value >= high):
            limit = f"of at least {low}" + ("" if high is None else f" and below {high}")
            raise UserError(f"{self.path}: {key}: expected an integer {limit}, got {value!r}")
        return value

    def sizes(self, part):
        """The `StackSizes` of encoder or decoder."""
        return StackSizes(
            self.integer(f"{part}_layers"), self.integer("d_model"), self.integer(f"{part}_ffn_dim")
        )

    def config(self) -> Config:
        """What config.yml says of such a run."""
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

    def search(self):
        """The sections `decoding` and `export`; where it says nothing, our defaults.

        Its scores are divided by a power of the length, ours with an offset of 0. Its lengths
        count the start and the end, ours neither.
        """
        given = {
            "beam_size": self.generation.get("num_beams"),
            "max_length": self.generation.get("max_length"),
            "no_repeat_ngram": self.generation.get("no_repeat_ngram_size"),
            "repetition_penalty": self.generation.get("repetition_penalty"),
        }
        given = {name: value for name, value in given.items() if value}
        if "max_length" in given:
            given["max_length"] = max(1, given["max_length"] - 2)
        power = self.generation.get("length_penalty")
        decoding = Decoding(
            length_penalty=1.0 if power is None else power, length_offset=0.0, **given
        )
        most = {name: max(CAPS[name], getattr(decoding, name)) for name in CAPS.keys() & given}
        renamed = {"max_beam_size" if name == "beam_size" else name: n for name, n in most.items()}
        return {"decoding": decoding, "export": Export(**renamed)}


def token_id(path, names, name):
    """The id of a piece among `names`, those of the file `path`.

    Raises:
        UserError: it has none.
    """
    if name not in names:
        raise UserError(f"{path}: expected an id for {name}, got none")
    return names.index(name)
