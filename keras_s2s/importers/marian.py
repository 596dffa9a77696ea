"""Marian's models (OPUS-MT) as Hugging Face's Transformers stores them.

Read from the code of Transformers 5.24, models/marian: post-norm layers as BART's, sinusoidal
positions from 0, one vocabulary for both sides, decoding that starts with padding.
"""

import logging
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s import catalog, checkpoints, tokenizers
from keras_s2s.config import Config, Decoding, Export, ModelConfig, UserError, making
from keras_s2s.embeddings import sinusoidal
from keras_s2s.importers.layers import Sizes, assign, stack
from keras_s2s.importers.vocabularies import Special, arrange, read_json, read_names
from keras_s2s.importers.weights import read_weights
from keras_s2s.signatures import CAPS

__all__ = ["import_marian"]

log = logging.getLogger(__name__)

ACTIVATIONS = {"swish": "silu", "silu": "silu", "relu": "relu", "gelu": "gelu", "tanh": "tanh"}
EPSILON = 1e-5  # of PyTorch's layer normalisation, which no configuration changes
# Taken from the logit of what stands beside its double, or must not take part: e^-30 of a
# probability, and finite, so that label smoothing stays so.
ASIDE = 30.0
POSITIONS_TOLERANCE = 2e-3  # half precision


def import_marian(directory, run) -> Path:
    """Writes a run directory with a Marian model of Hugging Face's Transformers in it.

    Translations are those of `MarianMTModel.generate` with `early_stopping=True`; without it that
    goes on for longer where a beam is full. Our ids are in the order of ours, so that embeddings
    and biases are those of the file with their rows moved.

    The run can be translated with, exported and trained from update 0; `imported/` keeps what
    training begins with.

    Args:
        directory: holds config.json, model.safetensors or pytorch_model.bin, source.spm,
            target.spm, vocab.json, and target_vocab.json where the sides have their own;
            generation_config.json if there is one.
        run: the new run directory.

    Returns:
        `run`.

    Raises:
        UserError: `run` exists, a file is missing or damaged, or holds what our layers lack; the
            message names the file and the key or weight.
    """
    directory = Path(directory)
    with making(run) as made:
        settings = _Settings(directory)
        config = settings.config()
        source, target = _tokenizers(directory, settings)
        weights = read_weights(directory)
        built = catalog.build(config.model, source.size, target.size)
        assign(checkpoints.named_weights(built), _arrays(weights, settings))
        tokenizers.save_pair(made / "tokenizers", source, target)
        checkpoints.save(built, made / "best", {"step": 0})
        checkpoints.copy(made / "best", made / checkpoints.IMPORTED)
        config.save(made / "config.yml")
    return Path(run)


class _Settings:
    """config.json, generation_config.json and the vocabularies, checked."""

    def __init__(self, directory):
        self.path = directory / "config.json"
        self.raw = read_json(self.path)
        generation = directory / "generation_config.json"
        self.generation = self.raw | (read_json(generation) if generation.is_file() else {})
        self._expect("model_type", self.raw.get("model_type"), ("marian",))
        self._expect("activation_function", self.activation, ACTIVATIONS)
        self._expect("normalize_before", self.raw.get("normalize_before", False), (False,))
        self.shared = self.raw.get("share_encoder_decoder_embeddings", True)
        self.tied = self.raw.get("tie_word_embeddings", True)
        size = self.whole("vocab_size")
        own = self.raw.get("decoder_vocab_size") or size
        self.source_size, self.target_size = size, size if self.shared else own
        self.vocabularies(directory)

    @property
    def activation(self):
        return self.raw.get("activation_function", "gelu")

    def _expect(self, key, came, known):
        if came not in list(known):
            names = ", ".join(map(str, known))
            raise UserError(f"{self.path}: {key}: expected one of {names}, came {came!r}")

    def whole(self, key, low=1, high=None):
        """An integer of config.json, of `low` to below `high`."""
        came = self.raw.get(key)
        if type(came) is not int or came < low or (high is not None and came >= high):
            limit = f"of at least {low}" + ("" if high is None else f" and below {high}")
            raise UserError(f"{self.path}: {key}: expected an integer {limit}, came {came!r}")
        return came

    def vocabularies(self, directory):
        """Both sides in our order."""
        path = directory / "vocab.json"
        names = read_names(path, self.source_size)
        pad, unknown, end = (_find(path, names, name) for name in ("<pad>", "<unk>", "</s>"))
        start = self.whole("decoder_start_token_id", 0, self.target_size)
        limit = 0, self.target_size
        theirs = self.whole("pad_token_id", *limit), self.whole("eos_token_id", *limit)
        if self.shared:
            self._expect("pad_token_id", theirs[0], (pad,))
            self._expect("eos_token_id", theirs[1], (end,))
            both = arrange(names, Special(pad, unknown, start, end))
            self.source = self.target = both
            return
        # a source never starts, so that its start is any row
        self.source = arrange(names, Special(pad, unknown, pad, end))
        path = directory / "target_vocab.json"
        names = read_names(path, self.target_size)
        special = Special(theirs[0], _find(path, names, "<unk>"), start, theirs[1])
        self.target = arrange(names, special)

    def sizes(self, part):
        return Sizes(
            self.whole(f"{part}_layers"), self.whole("d_model"), self.whole(f"{part}_ffn_dim")
        )

    def config(self) -> Config:
        """What config.yml says of such a run."""
        try:
            return Config(model=ModelConfig(**catalog.resolve(self._model())), **self._search())
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None

    def _model(self):
        tie = ("all" if self.shared else "output") if self.tied else "none"
        return ModelConfig(
            embedding=self.whole("d_model"),
            tie=tie,
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
            "num_heads": self.whole(f"{part}_attention_heads"),
            "hidden_units": hidden,
            "norm": "post",
            "activation": ACTIVATIONS[self.activation],
            "dropout": self.raw.get("dropout", 0.1),
            "epsilon": EPSILON,
            "positions": "vaswani",
            "scaled": self.raw.get("scale_embedding", False),
        }

    def _search(self):
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
        if any(words != [self.raw["pad_token_id"]] for words in self._bad_words()):
            log.warning("bad_words_ids: only the padding is left out, the others are not")
        most = {name: max(CAPS[name], getattr(decoding, name)) for name in CAPS.keys() & given}
        renamed = {"max_beam_size" if name == "beam_size" else name: n for name, n in most.items()}
        return {"decoding": decoding, "export": Export(**renamed)}

    def _bad_words(self):
        return self.generation.get("bad_words_ids") or []

    def normalizes_without_padding(self):
        """Whether probabilities are those among all but the padding, which is never chosen."""
        renormalizes = self.generation.get("renormalize_logits") is True
        return renormalizes and [self.raw["pad_token_id"]] in self._bad_words()


def _find(path, names, name):
    if name not in names:
        raise UserError(f"{path}: expected an id for {name}, came none")
    return names.index(name)


def _tokenizers(directory, settings):
    found = []
    for side in ("source", "target"):
        path = directory / f"{side}.spm"
        try:
            made = tokenizers.Marian(path.read_bytes(), getattr(settings, side).pieces)
        except OSError as error:
            raise UserError(f"{path}: expected a file, came: {error.strerror}") from None
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        found.append(made)
    return found


def _arrays(weights, settings):
    """Every weight of our model by name."""
    encoder, decoder = (settings.sizes(part) for part in ("encoder", "decoder"))
    made = stack(weights, "encoder", encoder) | stack(weights, "decoder", decoder)
    tables = _tables(weights, settings, encoder.units)
    rows = settings.target.rows
    bias = weights.take("final_logits_bias", 1, settings.target_size)[0, rows]
    bias[2] -= ASIDE
    if settings.normalizes_without_padding():
        bias[0] -= ASIDE
    made["source/table"] = tables["source"][settings.source.rows]
    if not (settings.shared and settings.tied):
        made["target/table"] = tables["target"][rows]
    if settings.tied:
        made["head/bias"] = bias
    else:
        head = weights.take("lm_head.weight", settings.target_size, encoder.units)
        made["head/projection/kernel"], made["head/projection/bias"] = head[rows].T, bias
    _check_positions(weights, encoder.units)
    weights.ignore("lm_head.weight")
    weights.refuse_others()
    return made


def _tables(weights, settings, units):
    """The embeddings of both sides, in the other's order; a shared one stands under any name."""
    sides = {"source": "model.encoder.embed_tokens.weight"}
    sides["target"] = "model.decoder.embed_tokens.weight"
    weights.ignore(*sides.values(), "model.shared.weight")
    if not settings.shared:
        return {
            side: weights.take(name, getattr(settings, f"{side}_size"), units)
            for side, name in sides.items()
        }
    names = ["model.shared.weight", *sides.values()] + ["lm_head.weight"] * settings.tied
    name = next((name for name in names if name in weights), names[0])
    return dict.fromkeys(sides, weights.take(name, settings.source_size, units))


def _check_positions(weights, units):
    """Refuses positions that were learned; what is stored is else what is computed."""
    for part in ("encoder", "decoder"):
        name = f"model.{part}.embed_positions.weight"
        if name not in weights:
            continue
        count = len(weights.arrays[name])
        given = weights.take(name, count, units)
        expected = sinusoidal(tf.range(count), units, "vaswani").numpy()
        if not np.allclose(given, expected, atol=POSITIONS_TOLERANCE):
            raise UserError(f"{weights.path}: {name}: expected sinusoidal positions, came others")
