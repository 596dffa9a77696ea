"""Import of M2M100 and NLLB models of Hugging Face Transformers for one pair of languages.

Based on the code of Transformers 5.24, models/m2m_100 and models/nllb: pre-norm layers, sinusoidal
positions from 2, one vocabulary, decoding that starts with the end token and the target language.
"""

from pathlib import Path

import numpy as np

from keras_s2s import tokenizers
from keras_s2s.errors import UserError
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
FIRST = ("<s>", "<pad>", "</s>", "<unk>")  # the first ids if there is no vocab.json
# Languages by `language_codes`, in the order of their ids, for directories that do not list them.
LANGUAGES = {
    "m2m100": "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga"
    " gd gl gu ha he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml"
    " mn mr ms my ne nl no ns oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn"
    " tr uk ur uz vi wo xh yi yo zh zu",
    "wmt21": "en ha is ja cs ru zh de",
}


def import_m2m100(directory: Path | str, run: Path | str, source: str, target: str) -> Path:
    """Imports an M2M100 or NLLB model of Hugging Face Transformers into a new run directory.

    The run translates one language into another: the language token precedes every source and
    target, unless a text starts with one. Greedy translations equal those of `generate` with
    `forced_bos_token_id`; beam search also counts the log-probability of the forced token.

    Args:
        directory: holds config.json, weights (see `weight_reader.read_weights`), sentencepiece.bpe
            .model, vocab.json (M2M100), and a list of the languages: special_tokens_map.json or
            tokenizer_config.json; optionally generation_config.json.
        run: the new run directory.
        source, target: languages by their names in the model, such as `"en"` or `"eng_Latn"`.

    Returns:
        `run`.

    Raises:
        UserError: `run` exists, a file is missing or damaged, the model is not supported, or a
            language is unknown; the message names the file, key, weight or language.
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
    """Checked settings of config.json, vocabulary and languages."""

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
        # Positions start one above the padding id.
        return {"norm": "pre", "positions": "sinusoidal", "first_position": 2}

    def _names(self, directory):
        """The vocabulary file, and its tokens in the order of ids, followed by the languages."""
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
        """The pieces of the SentencePiece model without its three special pieces."""
        try:
            return [
                piece.piece for piece in sentencepiece_model.parse_model(self.content).pieces[3:]
            ]
        except ValueError as error:
            raise UserError(f"{self.model}: {error}") from None

    def tokenizer(self, side, language):
        """The tokenizer of one side for a language."""
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
    """The language tokens in the order of their ids."""
    settings = {}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (directory / name).is_file():
            settings |= {key: value for key, value in read_json(directory / name).items() if value}
    listed = settings.get("additional_special_tokens") or settings.get("extra_special_tokens") or []
    languages = [item["content"] if isinstance(item, dict) else item for item in listed]
    codes = settings.get("language_codes", "m2m100")
    if not languages and codes in LANGUAGES:
        languages = [f"__{code}__" for code in LANGUAGES[codes].split()]
    if not languages or not all(isinstance(item, str) and item for item in languages):
        expected = "expected additional_special_tokens, a list of the languages"
        raise UserError(f"{directory / 'special_tokens_map.json'}: {expected}, got {listed!r}")
    return [item for item in languages if item != "<mask>"]


def _arrays(weights, settings):
    """All arrays by the names of `checkpoints.named_weights`."""
    arrays = {}
    for part in ("encoder", "decoder"):
        sizes = settings.sizes(part)
        arrays |= stack_weights(weights, part, sizes)
        for variable, suffix in (("gamma", "weight"), ("beta", "bias")):
            array = weights.take(f"model.{part}.layer_norm.{suffix}", sizes.units)
            arrays[f"{part}/final_norm/{variable}"] = array
        # Older files hold the sinusoidal positions, which are computed here.
        weights.ignore(f"model.{part}.embed_positions.weights", f"model.{part}.version")
    rows = settings.vocabulary.rows
    names = [
        "model.shared.weight",
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        "lm_head.weight",
    ]
    name = next((name for name in names if name in weights), names[0])
    arrays["source/table"] = weights.take(name, settings.size, sizes.units)[rows]
    arrays["head/bias"] = np.zeros(len(rows), "float32")
    arrays["head/bias"][2] = -LOGIT_OFFSET  # the start token duplicates the end token
    weights.ignore(*names)
    weights.check_all_taken()
    return arrays
