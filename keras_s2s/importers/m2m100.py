"""M2M100 and NLLB models as Hugging Face's Transformers stores them, for one pair of languages.

Read from the code of Transformers 5.24, models/m2m_100 and models/nllb: pre-norm layers, sinusoidal
positions from 2, one vocabulary, decoding that starts with the end and the target's language.
"""

from pathlib import Path

import numpy as np

from keras_s2s import tokenizers
from keras_s2s.config import UserError
from keras_s2s.importers.hugging_face import LOGIT_OFFSET, HuggingFaceConfig, token_id, write_run
from keras_s2s.importers.transformer_weights import stack_weights
from keras_s2s.importers.vocabularies import (
    SpecialIds,
    read_json,
    read_vocabulary,
    reorder_vocabulary,
)
from keras_s2s.importers.weight_reader import read_weights
from keras_s2s.tokenizers import sentencepiece_model

__all__ = ["import_m2m100"]

MODEL = "sentencepiece.bpe.model"
FIRST = ("<s>", "<pad>", "</s>", "<unk>")  # the first ids where only SentencePiece numbers pieces
# The languages of `language_codes` in the order of their ids, where no file lists them.
LANGUAGES = {
    "m2m100": "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga"
    " gd gl gu ha he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml"
    " mn mr ms my ne nl no ns oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn"
    " tr uk ur uz vi wo xh yi yo zh zu",
    "wmt21": "en ha is ja cs ru zh de",
}


def import_m2m100(directory, run, source, target) -> Path:
    """Writes a run directory with an M2M100 or NLLB model of Hugging Face's Transformers in it.

    The run reads one language and writes another: their pieces come before sources and targets,
    where a text does not begin with one itself. Greedy translations are those of `generate` with
    that `forced_bos_token_id`; a beam counts the log-probability of the forced piece too.

    Args:
        directory: holds config.json, model.safetensors or pytorch_model.bin, sentencepiece.bpe
            .model, vocab.json (M2M100), and what lists the languages: special_tokens_map.json or
            tokenizer_config.json; generation_config.json if there is one.
        run: the new run directory.
        source, target: languages by the names of the model, such as `"en"` or `"eng_Latn"`.

    Returns:
        `run`.

    Raises:
        UserError: `run` exists, a file is missing or damaged, holds what our layers lack, or a
            language is none of the model's; the message names the file, key, weight or language.
    """
    directory = Path(directory)
    settings = _Settings(directory)
    pair = [
        settings.tokenizer(side, language)
        for side, language in (("source", source), ("target", target))
    ]
    arrays = _arrays(read_weights(directory), settings)
    return write_run(run, settings.config(), pair, arrays)


class _Settings(HuggingFaceConfig):
    """config.json, the vocabulary and the languages, checked."""

    tie = "all"

    def __init__(self, directory):
        super().__init__(directory, "m2m_100")
        self.expect("tie_word_embeddings", self.raw.get("tie_word_embeddings", True), (True,))
        self.size, self.model = self.integer("vocab_size"), directory / MODEL
        path, names = self._names(directory)
        pad, unknown, end = (token_id(path, names, name) for name in ("<pad>", "<unk>", "</s>"))
        self.expect("pad_token_id", self.raw.get("pad_token_id", 1), (pad,))
        self.expect("eos_token_id", self.raw.get("eos_token_id", 2), (end,))
        start = self.raw.get("decoder_start_token_id", 2)
        self.expect("decoder_start_token_id", start, (end,))
        self.vocabulary = reorder_vocabulary(names, SpecialIds(pad, unknown, start, end))

    def layers(self):
        # The first position is one beyond the padding's id.
        return {"norm": "pre", "positions": "sinusoidal", "first_position": 2}

    def _names(self, directory):
        """The file of the pieces, and these in the order of their ids, the languages behind."""
        try:
            self.content = self.model.read_bytes()
        except OSError as error:
            raise UserError(f"{self.model}: expected a file, got: {error.strerror}") from None
        path = directory / "vocab.json"
        if path.is_file():
            names = read_vocabulary(path, self.size)
            count = max(n for n, name in enumerate(names) if name is not None) + 1
        else:
            path = self.model
            names = [*FIRST, *self._pieces()]
            count = len(names)
        self.languages = _languages(directory)
        names = [*names[:count], *self.languages]
        if len(names) > self.size:
            expected = f"expected at least {len(names)}, pieces and languages"
            raise UserError(f"{self.path}: vocab_size: {expected}, got {self.size}")
        return path, names + [None] * (self.size - len(names))

    def _pieces(self):
        """The pieces of the SentencePiece model without its three special ones."""
        try:
            return [piece.piece for piece in sentencepiece_model.read(self.content).pieces[3:]]
        except ValueError as error:
            raise UserError(f"{self.model}: {error}") from None

    def tokenizer(self, side, language):
        """The `Multilingual` tokenizer of a side for a language."""
        name = next((x for x in self.languages if language in (x, x.strip("_"))), None)
        if name is None:
            known = ", ".join(x.strip("_") for x in self.languages)
            raise UserError(f"--{side}-language: expected one of {known}, got {language!r}")
        try:
            return tokenizers.Multilingual(
                self.content, self.vocabulary.pieces, self.languages, name
            )
        except ValueError as error:
            raise UserError(f"{self.model}: {error}") from None


def _languages(directory):
    """The pieces of languages in the order of their ids."""
    said = {}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (directory / name).is_file():
            said |= {key: value for key, value in read_json(directory / name).items() if value}
    listed = said.get("additional_special_tokens") or said.get("extra_special_tokens") or []
    found = [one["content"] if isinstance(one, dict) else one for one in listed]
    codes = said.get("language_codes", "m2m100")
    if not found and codes in LANGUAGES:
        found = [f"__{code}__" for code in LANGUAGES[codes].split()]
    if not found or not all(isinstance(one, str) and one for one in found):
        expected = "expected additional_special_tokens, a list of the languages"
        raise UserError(f"{directory / 'special_tokens_map.json'}: {expected}, got {listed!r}")
    return [one for one in found if one != "<mask>"]


def _arrays(weights, settings):
    """Every weight of our model by name."""
    made = {}
    for part in ("encoder", "decoder"):
        sizes = settings.sizes(part)
        made |= stack_weights(weights, part, sizes)
        for own, theirs in (("gamma", "weight"), ("beta", "bias")):
            found = weights.take(f"model.{part}.layer_norm.{theirs}", sizes.units)
            made[f"{part}/final_norm/{own}"] = found
        # Older files hold the positions, which are computed.
        weights.ignore(f"model.{part}.embed_positions.weights", f"model.{part}.version")
    rows = settings.vocabulary.rows
    names = [
        "model.shared.weight",
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        "lm_head.weight",
    ]
    name = next((name for name in names if name in weights), names[0])
    made["source/table"] = weights.take(name, settings.size, sizes.units)[rows]
    made["head/bias"] = np.zeros(len(rows), "float32")
    made["head/bias"][2] = -LOGIT_OFFSET  # the start is the end's double
    weights.ignore(*names)
    weights.refuse_others()
    return made
