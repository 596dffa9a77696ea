"""An OpenNMT-tf model directory as a run directory."""

import dataclasses
from pathlib import Path

from keras_s2s import checkpoints, tokenizers
from keras_s2s import models as catalog
from keras_s2s.config import Config, ModelConfig, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.importers.hugging_face_layers import assign
from keras_s2s.importers.opennmt import models
from keras_s2s.importers.opennmt.config import translate
from keras_s2s.importers.opennmt.model_description import describe
from keras_s2s.importers.opennmt.opennmt_config import Theirs
from keras_s2s.importers.opennmt.recurrent import (
    is_recurrent,
    recurrent_sizes,
    recurrent_weights,
)
from keras_s2s.importers.opennmt.report import Report
from keras_s2s.importers.opennmt.weights import Checkpoint, sizes, transformer_weights
from keras_s2s.io import new_directory

__all__ = ["import_run", "rows_of", "their_vocabulary"]

SPECIAL = ("<blank>", "<s>", "</s>")  # their first ids; the unknown token's is the last
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
SIDES = ("source", "target")


def import_run(source, run, theirs: Theirs, *, model_type=None, heads=None, auto=False) -> Report:
    """Writes a run directory with the weights of an OpenNMT-tf Transformer or Luong's model.

    The run translates, scores and exports as a trained one does; `training.init_from` goes on
    training its weights in another one.

    Args:
        source: a model directory, whose latest checkpoint is taken, or a checkpoint's prefix.
        run: the run directory to make.
        theirs: its configuration, which names the vocabularies.
        model_type: the name in their catalogue; None reads `model_description.py`.
        heads: number of attention heads, which neither weights nor a description may tell.
        auto: see `translate`.

    Returns:
        What became of the keys of `theirs`.

    Raises:
        UserError: `run` exists; a file is missing or not as expected; or the model is one that
            our parts cannot be.
    """
    with new_directory(run) as beside:
        checkpoint = Checkpoint(source)
        model = _model(checkpoint, source, model_type, heads)
        ours, report = translate(theirs, model, auto=auto)
        vocabularies = {side: their_vocabulary(theirs, side) for side in SIDES}
        _check_sizes(checkpoint, theirs, vocabularies)
        config, pair = _tokenizers(Config.from_dict(ours), vocabularies)
        rows = {
            side: rows_of(tokenizer, vocabularies[side])
            for side, tokenizer in zip(SIDES, pair, strict=True)
        }
        _check_sharing(theirs, model, rows)
        config = dataclasses.replace(config, model=ModelConfig(**catalog.resolve(config.model)))
        made = catalog.build(config.model, *(tokenizer.size for tokenizer in pair))
        of = recurrent_weights if isinstance(model, models.Recurrent) else transformer_weights
        weights = of(checkpoint, model, rows)
        assign(checkpoints.named_weights(made), weights)
        checkpoint.check_all_read()
        tokenizers.save_pair(beside / "tokenizers", *pair)
        checkpoints.save(made, beside / "best", {"step": checkpoint.step})
        config.save(beside / "config.yml")
    return report


def _model(checkpoint, source, model_type, heads):
    """The sizes of the model in a checkpoint."""
    directory = source if Path(source).is_dir() else Path(source).parent
    told = describe(directory)
    name = model_type or told.model_type
    known = models.find(name) if name else None
    if is_recurrent(checkpoint):
        if told.other or (known and known.remarks()):
            raise UserError(
                f"{source}: expected Luong's model as it is, came"
                f" {told.other or name}; there are no parts here for its weights:"
                " train one anew, with import --config"
            )
        return recurrent_sizes(checkpoint, known.dropout if known else 0.3)
    if isinstance(known, models.Recurrent):
        raise UserError(f"{source}: expected an LSTM model, as {name} is, came another")
    heads = heads or told.heads or (known and known.heads)
    if not heads:
        raise UserError(f"--num-heads: expected a number, for {source} does not tell it, came none")
    dropout = told.dropout if told.dropout is not None else (known.dropout if known else 0.1)
    return sizes(checkpoint, heads=heads, dropout=dropout, activation=told.activation)


def their_vocabulary(theirs: Theirs, side: str) -> list[str]:
    """The tokens of a side's vocabulary, in the order of their ids, without the unknown one.

    Raises:
        UserError: it is not named, cannot be read, or does not begin with their special tokens.
    """
    key = f"data.{side}_vocabulary"
    files = theirs.texts(key)
    if len(files) != 1:
        raise theirs.wrong(key, "a vocabulary file")
    path = Path(theirs.path(files[0]))
    try:
        lines = path.read_bytes().decode().split("\n")
    except OSError as error:
        raise UserError(f"{path}: expected a vocabulary, came: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected UTF-8, came byte {error.start}") from None
    tokens = [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    for number, name in enumerate(SPECIAL):
        came = tokens[number] if number < len(tokens) else "nothing"
        if came != name:
            raise UserError(f"{path}:{number + 1}: expected {name}, came {came!r}")
    return tokens


def _check_sizes(checkpoint, theirs, vocabularies):
    for side, name in zip(SIDES, ("features", "labels"), strict=True):
        table = f"model/examples_inputter/{name}_inputter/embedding"
        shape = checkpoint.shapes.get(table)
        if shape and shape[0] != len(vocabularies[side]) + 1:
            expected = f"expected {shape[0] - 1} tokens, as {checkpoint.path} has"
            file = theirs.get(f"data.{side}_vocabulary")
            raise UserError(f"{file}: {expected}, came {len(vocabularies[side])}")


def _tokenizers(config, vocabularies):
    """The configuration, complete with what a tokenizer lacks, and the two tokenizers."""
    made = {}
    for side, own in zip(SIDES, config.data.tokenizers(), strict=True):
        if own.kind == "sentencepiece":
            own = _with_missing(own, vocabularies[side])
        made[side] = own
    source = tokenizers.train(made["source"], [])
    if made["source"].shared:
        sections = {"tokenizer": made["source"]}
        pair = source, source
    else:
        sections = {f"{side}_tokenizer": made[side] for side in SIDES}
        pair = source, tokenizers.train(made["target"], [])
    data = dataclasses.replace(config.data, **sections)
    return dataclasses.replace(config, data=data), pair


def _with_missing(own: TokenizerConfig, vocabulary):
    """A SentencePiece tokenizer with those of their tokens that its model lacks."""
    known = set(tokenizers.train(own, []).vocabulary)
    missing = [token for token in vocabulary[len(SPECIAL) :] if token not in known]
    for token in missing:
        if SPACE in token:
            expected = "expected a model with every piece of the vocabulary"
            raise UserError(f"{own.file}: {expected}, came none for {token!r}")
    return dataclasses.replace(own, special_tokens=[*own.special_tokens, *missing])


def rows_of(tokenizer, vocabulary: list[str]) -> list[int]:
    """Their row of each of our ids; -1, which is their unknown token's, for pieces of ours alone.

    Args:
        tokenizer: ours.
        vocabulary: theirs, the special tokens first.
    """
    places = {token: place for place, token in enumerate(vocabulary)}
    if tokenizer.kind == "characters":  # whose space they write so
        places[" "] = places.get(SPACE, -1)
    first = {0: 0, 1: len(vocabulary), 2: 1, 3: 2}  # pad, unknown, start, end
    return [
        first[i] if i in first else places.get(piece, -1)
        for i, piece in enumerate(tokenizer.vocabulary)
    ]


def _check_sharing(theirs, model, rows):
    if model.sharing == "all" and rows["source"] != rows["target"]:
        expected = "expected that of the source, whose embedding is shared"
        raise theirs.wrong("data.target_vocabulary", expected)
