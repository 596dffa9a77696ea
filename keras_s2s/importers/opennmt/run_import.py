"""Import of an OpenNMT-tf model directory as a run directory."""

import dataclasses
from pathlib import Path
from typing import Any

from keras_s2s import checkpoints, tokenizers
from keras_s2s import models as catalog
from keras_s2s.config import Config, ModelConfig, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt import model_types
from keras_s2s.importers.opennmt.config_translation import translate
from keras_s2s.importers.opennmt.model_description import read_description
from keras_s2s.importers.opennmt.opennmt_config import OpenNMTConfig
from keras_s2s.importers.opennmt.recurrent import (
    infer_recurrent,
    is_recurrent,
    recurrent_weights,
)
from keras_s2s.importers.opennmt.report import Report
from keras_s2s.importers.opennmt.weights import Checkpoint, infer_transformer, transformer_weights
from keras_s2s.importers.transformer_weights import assign_weights
from keras_s2s.io import decode_lines, new_directory

__all__ = ["import_run", "read_vocabulary", "vocabulary_rows"]

SPECIAL = (
    "<blank>",
    "<s>",
    "</s>",
)  # the first ids of OpenNMT-tf; the unknown token has the last one
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
SIDES = ("source", "target")


def import_run(
    source: Path | str,
    run: Path | str,
    opennmt_config: OpenNMTConfig,
    *,
    model_type: str | None = None,
    heads: int | None = None,
    auto: bool = False,
) -> Report:
    """Imports the weights of an OpenNMT-tf Transformer or Luong model into a new run directory.

    The run translates, scores and exports like a trained one; `training.init_from` continues
    training its weights in another run.

    Args:
        source: a model directory, whose latest checkpoint is read, or the prefix of a checkpoint.
        run: the run directory to create.
        opennmt_config: the configuration of the model, which names the vocabularies.
        model_type: the name in the catalogue of OpenNMT-tf; None reads `model_description.py`.
        heads: number of attention heads, needed if no description or model type contains it.
        auto: see `translate`.

    Returns:
        The report of the conversion of `opennmt_config`.

    Raises:
        UserError: `run` exists, a file is missing or invalid, or the model is not supported.
    """
    with new_directory(run) as directory:
        checkpoint = Checkpoint(source)
        model = _model(checkpoint, source, model_type, heads)
        config_dict, report = translate(opennmt_config, model, auto=auto)
        vocabularies = {side: read_vocabulary(opennmt_config, side) for side in SIDES}
        _check_sizes(checkpoint, opennmt_config, vocabularies)
        config, tokenizer_pair = _tokenizers(Config.from_dict(config_dict), vocabularies)
        rows = {
            side: vocabulary_rows(tokenizer, vocabularies[side])
            for side, tokenizer in zip(SIDES, tokenizer_pair, strict=True)
        }
        _check_sharing(opennmt_config, model, rows)
        config = dataclasses.replace(config, model=ModelConfig(**catalog.resolve(config.model)))
        made = catalog.build(config.model, *(tokenizer.size for tokenizer in tokenizer_pair))
        convert = (
            recurrent_weights if isinstance(model, model_types.Recurrent) else transformer_weights
        )
        weights = convert(checkpoint, model, rows)
        assign_weights(checkpoints.named_weights(made), weights)
        checkpoint.check_all_read()
        tokenizers.save_pair(directory / "tokenizers", *tokenizer_pair)
        checkpoints.save(made, directory / "best", {"step": checkpoint.step})
        config.save(directory / "config.yml")
    return report


def _model(checkpoint, source, model_type, heads):
    """The model type with the sizes in a checkpoint."""
    directory = source if Path(source).is_dir() else Path(source).parent
    description = read_description(directory)
    name = model_type or description.model_type
    known = model_types.get_model_type(name) if name else None
    if is_recurrent(checkpoint):
        if description.unsupported or (known and known.remarks()):
            raise UserError(
                f"{source}: expected Luong's model as it is, got"
                f" {description.unsupported or name}; there are no parts here for its weights:"
                " train one anew, with import --config"
            )
        return infer_recurrent(checkpoint, known.dropout if known else 0.3)
    if isinstance(known, model_types.Recurrent):
        raise UserError(f"{source}: expected an LSTM model, as {name} is, got another")
    heads = heads or description.heads or (known and known.heads)
    if not heads:
        raise UserError(f"--num-heads: expected a number, for {source} does not tell it, got none")
    dropout = (
        description.dropout
        if description.dropout is not None
        else (known.dropout if known else 0.1)
    )
    return infer_transformer(
        checkpoint, heads=heads, dropout=dropout, activation=description.activation
    )


def read_vocabulary(opennmt_config: OpenNMTConfig, side: str) -> list[str]:
    """Reads the vocabulary of one side, in the order of ids, without the unknown token.

    Args:
        opennmt_config: names the file.
        side: `"source"` or `"target"`.

    Raises:
        UserError: no file is named, it cannot be read, or does not start with the special tokens.
    """
    key = f"data.{side}_vocabulary"
    files = opennmt_config.strings(key)
    if len(files) != 1:
        raise opennmt_config.error(key, "a vocabulary file")
    path = Path(opennmt_config.path(files[0]))
    try:
        with path.open("rb") as file:
            tokens = list(decode_lines(file, path))
    except OSError as error:
        raise UserError(f"{path}: expected a vocabulary, got: {error.strerror}") from None
    for number, name in enumerate(SPECIAL):
        token = tokens[number] if number < len(tokens) else "nothing"
        if token != name:
            raise UserError(f"{path}:{number + 1}: expected {name}, got {token!r}")
    return tokens


def _check_sizes(checkpoint, opennmt_config, vocabularies):
    for side, name in zip(SIDES, ("features", "labels"), strict=True):
        table = f"model/examples_inputter/{name}_inputter/embedding"
        shape = checkpoint.shapes.get(table)
        if shape and shape[0] != len(vocabularies[side]) + 1:
            expected = f"expected {shape[0] - 1} tokens, as {checkpoint.path} has"
            file = opennmt_config.get(f"data.{side}_vocabulary")
            raise UserError(f"{file}: {expected}, got {len(vocabularies[side])}")


def _tokenizers(config, vocabularies):
    """The configuration with missing special tokens added, and both tokenizers."""
    made = {}
    for side, tokenizer_config in zip(SIDES, config.data.tokenizers(), strict=True):
        if tokenizer_config.kind == "sentencepiece":
            tokenizer_config = _with_missing(tokenizer_config, vocabularies[side])
        made[side] = tokenizer_config
    source = tokenizers.train(made["source"], [])
    if made["source"].shared:
        sections = {"tokenizer": made["source"]}
        tokenizer_pair = source, source
    else:
        sections = {f"{side}_tokenizer": made[side] for side in SIDES}
        tokenizer_pair = source, tokenizers.train(made["target"], [])
    data = dataclasses.replace(config.data, **sections)
    return dataclasses.replace(config, data=data), tokenizer_pair


def _with_missing(tokenizer_config: TokenizerConfig, vocabulary):
    """Adds the tokens of the vocabulary that the SentencePiece model lacks as special tokens."""
    known = set(tokenizers.train(tokenizer_config, []).vocabulary)
    missing = [token for token in vocabulary[len(SPECIAL) :] if token not in known]
    for token in missing:
        if SPACE in token:
            expected = "expected a model with every piece of the vocabulary"
            raise UserError(f"{tokenizer_config.file}: {expected}, got none for {token!r}")
    return dataclasses.replace(
        tokenizer_config, special_tokens=[*tokenizer_config.special_tokens, *missing]
    )


def vocabulary_rows(tokenizer: Any, vocabulary: list[str]) -> list[int]:
    """Maps the ids of a tokenizer to rows of OpenNMT-tf's embedding.

    Args:
        tokenizer: a tokenizer of this package.
        vocabulary: the tokens of OpenNMT-tf, special tokens first.

    Returns:
        For each id of the tokenizer the row; -1, the row of the unknown token, for tokens that
        OpenNMT-tf does not have.
    """
    positions = {token: place for place, token in enumerate(vocabulary)}
    if tokenizer.kind == "characters":  # OpenNMT-tf writes a space as U+2581
        positions[" "] = positions.get(SPACE, -1)
    special_rows = {0: 0, 1: len(vocabulary), 2: 1, 3: 2}  # pad, unknown, start, end
    return [
        special_rows[i] if i in special_rows else positions.get(piece, -1)
        for i, piece in enumerate(tokenizer.vocabulary)
    ]


def _check_sharing(opennmt_config, model, rows):
    if model.sharing == "all" and rows["source"] != rows["target"]:
        expected = "expected that of the source, whose embedding is shared"
        raise opennmt_config.error("data.target_vocabulary", expected)
