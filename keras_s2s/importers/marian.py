"""Import of Marian models (OPUS-MT) of Hugging Face Transformers.

Based on the code of Transformers 5.24, models/marian: post-norm layers as BART's, sinusoidal
positions from 0, one vocabulary for both sides, decoding that starts with the padding token.
"""

import logging
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s import tokenizers
from keras_s2s.errors import UserError
from keras_s2s.importers.hugging_face import LOGIT_OFFSET, HuggingFaceConfig, token_id, write_run
from keras_s2s.importers.transformer_weights import stack_weights
from keras_s2s.importers.vocabularies import SpecialIds, read_vocabulary, reorder_vocabulary
from keras_s2s.importers.weight_reader import read_weights
from keras_s2s.layers.positions import sinusoidal_positions

__all__ = ["import_marian"]

log = logging.getLogger(__name__)

POSITIONS_TOLERANCE = 2e-3  # half precision


def import_marian(directory: Path | str, run: Path | str) -> Path:
    """Imports a Marian model of Hugging Face Transformers into a new run directory.

    Translations equal those of `MarianMTModel.generate` with `early_stopping=True`; without it,
    `generate` continues after a beam is full. Ids are in the order of this package, so the rows of
    embeddings and biases are reordered.

    The run translates, exports, and trains from update 0; `imported/` keeps the initial weights.

    Args:
        directory: holds config.json, weights (see `weight_reader.read_weights`), source.spm,
            target.spm, vocab.json, and target_vocab.json if the sides have separate ones;
            optionally generation_config.json.
        run: the new run directory.

    Returns:
        `run`.

    Raises:
        UserError: `run` exists, a file is missing or damaged, or the model is not supported;
            the message names the file and the key or weight.
    """
    directory = Path(directory)
    settings = _Settings(directory)
    return write_run(
        run,
        settings.config(),
        _tokenizers(directory, settings),
        _arrays(read_weights(directory), settings),
    )


class _Settings(HuggingFaceConfig):
    """Checked settings of config.json, generation_config.json and the vocabularies."""

    def __init__(self, directory):
        super().__init__(directory, "marian")
        self.expect("normalize_before", self.raw.get("normalize_before", False), (False,))
        self.shared = self.raw.get("share_encoder_decoder_embeddings", True)
        self.tied = self.raw.get("tie_word_embeddings", True)
        size = self.integer("vocab_size")
        own = self.raw.get("decoder_vocab_size") or size
        self.source_size, self.target_size = size, size if self.shared else own
        self.vocabularies(directory)

    def vocabularies(self, directory):
        """Reads and reorders the vocabularies of both sides."""
        path = directory / "vocab.json"
        names = read_vocabulary(path, self.source_size)
        pad, unknown, end = (token_id(path, names, name) for name in ("<pad>", "<unk>", "</s>"))
        start = self.integer("decoder_start_token_id", 0, self.target_size)
        limit = 0, self.target_size
        target_ids = self.integer("pad_token_id", *limit), self.integer("eos_token_id", *limit)
        if self.shared:
            self.expect("pad_token_id", target_ids[0], (pad,))
            self.expect("eos_token_id", target_ids[1], (end,))
            vocabulary = reorder_vocabulary(names, SpecialIds(pad, unknown, start, end))
            self.source = self.target = vocabulary
            return
        # sources have no start token, so any row serves
        self.source = reorder_vocabulary(names, SpecialIds(pad, unknown, pad, end))
        path = directory / "target_vocab.json"
        names = read_vocabulary(path, self.target_size)
        special = SpecialIds(target_ids[0], token_id(path, names, "<unk>"), start, target_ids[1])
        self.target = reorder_vocabulary(names, special)

    @property
    def tie(self):
        return ("all" if self.shared else "output") if self.tied else "none"

    def layers(self):
        return {"norm": "post", "positions": "vaswani"}

    def search(self):
        if any(words != [self.raw["pad_token_id"]] for words in self._bad_words()):
            log.warning("bad_words_ids: only the padding is left out, the others are not")
        return super().search()

    def _bad_words(self):
        return self.generation.get("bad_words_ids") or []

    def normalizes_without_padding(self):
        """Whether probabilities are normalised without the padding token, which is never chosen."""
        renormalizes = self.generation.get("renormalize_logits") is True
        return renormalizes and [self.raw["pad_token_id"]] in self._bad_words()


def _tokenizers(directory, settings):
    pair = []
    for side in ("source", "target"):
        path = directory / f"{side}.spm"
        try:
            tokenizer = tokenizers.Marian(path.read_bytes(), getattr(settings, side).pieces)
        except OSError as error:
            raise UserError(f"{path}: expected a file, got: {error.strerror}") from None
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        pair.append(tokenizer)
    return pair


def _arrays(weights, settings):
    """All arrays by the names of `checkpoints.named_weights`."""
    encoder, decoder = (settings.sizes(part) for part in ("encoder", "decoder"))
    arrays = stack_weights(weights, "encoder", encoder) | stack_weights(weights, "decoder", decoder)
    tables = _tables(weights, settings, encoder.units)
    rows = settings.target.rows
    bias = weights.take("final_logits_bias", 1, settings.target_size)[0, rows]
    bias[2] -= LOGIT_OFFSET
    if settings.normalizes_without_padding():
        bias[0] -= LOGIT_OFFSET
    arrays["source/table"] = tables["source"][settings.source.rows]
    if not (settings.shared and settings.tied):
        arrays["target/table"] = tables["target"][rows]
    if settings.tied:
        arrays["head/bias"] = bias
    else:
        head = weights.take("lm_head.weight", settings.target_size, encoder.units)
        arrays["head/projection/kernel"], arrays["head/projection/bias"] = head[rows].T, bias
    _check_positions(weights, encoder.units)
    weights.ignore("lm_head.weight")
    weights.check_all_taken()
    return arrays


def _tables(weights, settings, units):
    """The embeddings of both sides, in the order of the file; a shared one may have any name."""
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
    """Checks that stored positions, if any, are the sinusoidal ones that are computed."""
    for part in ("encoder", "decoder"):
        name = f"model.{part}.embed_positions.weight"
        if name not in weights:
            continue
        count = len(weights.arrays[name])
        stored = weights.take(name, count, units)
        expected = sinusoidal_positions(tf.range(count), units, "vaswani").numpy()
        if not np.allclose(stored, expected, atol=POSITIONS_TOLERANCE):
            raise UserError(f"{weights.path}: {name}: expected sinusoidal positions, got others")
