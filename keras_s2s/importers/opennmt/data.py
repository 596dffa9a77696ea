"""Section `data` of OpenNMT-tf: corpora, vocabularies, tokenization, embeddings."""

import os

from keras_s2s.config.yaml_files import read_yaml as read_yaml
from keras_s2s.importers.opennmt.conversion import ConfigConversion
from keras_s2s.importers.opennmt.opennmt_config import OpenNMTConfig, parse_json

__all__ = ["corpora", "embeddings", "ends_source", "same_vocabulary", "tokenizers"]

BEFOREHAND = "its tokens are read as they are: cut the texts with it beforehand"
SIDES = ("source", "target")


def corpora(conversion: ConfigConversion) -> None:
    """Translates training and validation files, example weights and alignments."""
    opennmt_config = conversion.opennmt_config
    sides = [opennmt_config.strings(f"data.train_{name}_file") for name in ("features", "labels")]
    guided = opennmt_config.get("params.guided_alignment_type") is not None
    annotations = {
        "weights": opennmt_config.strings("data.example_weights"),
        "alignments": opennmt_config.strings("data.train_alignments") if guided else [],
    }
    if any(sides):
        _check_files(opennmt_config, sides, annotations)
        files = dict(zip(SIDES, sides, strict=True)) | {k: v for k, v in annotations.items() if v}
        rows = [
            dict(zip(files, map(opennmt_config.path, row), strict=True))
            for row in zip(*files.values(), strict=True)
        ]
        _set_corpus_weights(conversion, rows)
        train = rows if len(rows) > 1 else rows[0]
        names = ["train_features_file", "train_labels_file", "example_weights"]
        for name in [*names, "train_alignments"] if guided else names:
            if opennmt_config.has(f"data.{name}"):
                conversion.set_keys(f"data.{name}", data={"train": train})
    else:
        conversion.add_refused("data.example_weights", "there are no training files")
        if guided:
            conversion.add_refused("data.train_alignments", "there are no training files")
        conversion.add_refused("data.train_files_weights", "there are no training files")
    _validation(conversion)


def _check_files(opennmt_config, sides, annotations):
    expected = f"{len(sides[0])} files, as data.train_features_file has"
    if not sides[0] or len(sides[1]) != len(sides[0]):
        raise opennmt_config.error("data.train_labels_file", expected)
    for name, files in zip(
        ("example_weights", "train_alignments"), annotations.values(), strict=True
    ):
        if files and len(files) != len(sides[0]):
            raise opennmt_config.error(f"data.{name}", expected)


def _set_corpus_weights(conversion, rows):
    key = "data.train_files_weights"
    weights = conversion.opennmt_config.get(key)
    if weights is None:
        conversion.add_same(key, "a corpus is shown once an epoch")
        return
    is_list = isinstance(weights, list) and len(weights) == len(rows)
    numbers = is_list and all(isinstance(w, int | float) and w > 0 for w in weights)
    if not numbers:
        raise conversion.opennmt_config.error(
            key, f"{len(rows)} numbers above 0, one for each training file"
        )
    for row, weight in zip(rows, weights, strict=True):
        row["weight"] = weight
    train = rows if len(rows) > 1 else rows[0]
    conversion.set_keys(key, "how often an epoch shows each corpus", data={"train": train})


def _validation(conversion):
    opennmt_config = conversion.opennmt_config
    keys = ["data.eval_features_file", "data.eval_labels_file"]
    files = [opennmt_config.strings(key) for key in keys]
    if not any(files):
        return
    for key, found in zip(keys, files, strict=True):
        if len(found) != 1:
            raise opennmt_config.error(key, "one file")
    valid = {side: opennmt_config.path(found[0]) for side, found in zip(SIDES, files, strict=True)}
    for key in keys:
        conversion.set_keys(key, data={"valid": valid})


def same_vocabulary(opennmt_config: OpenNMTConfig) -> bool:
    """Whether source and target use the same vocabulary file."""
    files = [opennmt_config.get(f"data.{side}_vocabulary") for side in SIDES]
    return files[0] is not None and files[0] == files[1]


def ends_source(conversion: ConfigConversion) -> bool:
    """Whether sources end with `</s>`; reports the sequence controls."""
    opennmt_config = conversion.opennmt_config
    end = opennmt_config.flag("data.source_sequence_controls.end")
    for side in SIDES:
        key = f"data.{side}_sequence_controls"
        if not opennmt_config.mapping(key):
            conversion.add_same(key, "a target stands between <s> and </s>")
        start, last = opennmt_config.flag(f"{key}.start", side == "target"), f"{key}.end"
        expected = side == "target"
        if start == expected:
            conversion.add_same(
                f"{key}.start", "a target begins with <s>, a source with its first token"
            )
        else:
            conversion.add_refused(
                f"{key}.start", "a target begins with <s>, a source with its first token"
            )
        if side == "target" and opennmt_config.flag(last, True):
            conversion.add_same(last, "a target ends with </s>")
        elif side == "target":
            conversion.add_refused(last, "a target ends with </s>")
        elif conversion.model is None:
            conversion.add_refused(
                last, "model.encoder.source_end, once --model-type says which encoder"
            )
    return end


def tokenizers(conversion: ConfigConversion) -> None:
    """Translates vocabularies and tokenization into one shared tokenizer or one per side."""
    found = {side: _tokenizer(conversion, side) for side in SIDES}
    if found["source"] == found["target"] and "file" in found["source"]:
        made = {"tokenizer": found["source"] | {"shared": True}}
        names = dict.fromkeys(SIDES, "tokenizer")
    else:
        made = {f"{side}_tokenizer": found[side] for side in SIDES}
        names = {side: f"{side}_tokenizer" for side in SIDES}
    for side in SIDES:
        _report_tokenizer(conversion, side, {names[side]: made[names[side]]})
    conversion.config.setdefault("data", {}).update(made)


def _report_tokenizer(conversion, side, section):
    vocabulary, key = f"data.{side}_vocabulary", f"data.{side}_tokenization"
    (made,) = section.values()
    if made["kind"] == "sentencepiece":
        conversion.add_refused(vocabulary, "a SentencePiece model is its own vocabulary")
    else:
        conversion.set_keys(vocabulary, "its first three lines are our special ids", data=section)
    parameters, name = _tokenization(conversion.opennmt_config, side)
    known = ("", "SpaceTokenizer", "CharacterTokenizer", "SentencePieceTokenizer")
    if name in known or (name == "OpenNMTTokenizer" and _builtin_tokenizer(parameters) is not None):
        conversion.set_keys(key, data=section)
    elif name == "OpenNMTTokenizer":
        conversion.add_refused(key, f"pyonmttok's own rules; {BEFOREHAND}")
    else:
        conversion.add_refused(key, f"{name}; {BEFOREHAND}")


def _tokenization(opennmt_config, side) -> tuple[dict, str]:
    """The parameters and the tokenizer class of one side."""
    key = f"data.{side}_tokenization"
    value = opennmt_config.get(key)
    if isinstance(value, str):
        path = opennmt_config.path(value)
        value = read_yaml(path)[0] if os.path.isfile(path) else parse_json(value)
    if value is None and opennmt_config.get(key) is None:
        return {}, ""
    if not isinstance(value, dict):
        raise opennmt_config.error(key, "a mapping, or a file or JSON that holds one")
    if "type" not in value:
        return value, "OpenNMTTokenizer"
    parameters = value.get("params") or {}
    if not isinstance(parameters, dict):
        raise opennmt_config.error(f"{key}.params", "a mapping")
    return parameters, str(value["type"])


def _builtin_tokenizer(parameters) -> dict | None:
    """The equivalent tokenizer section for a pyonmttok tokenization, or None."""
    enabled = {name: value for name, value in parameters.items() if value not in (None, False)}
    if enabled.keys() == {"mode", "sp_model_path"} and enabled["mode"] == "none":
        return {"kind": "sentencepiece", "file": enabled["sp_model_path"]}
    if enabled == {"mode": "space"}:
        return {"kind": "words"}
    return None


def _tokenizer(conversion, side) -> dict:
    """The tokenizer section of one side."""
    opennmt_config = conversion.opennmt_config
    parameters, name = _tokenization(opennmt_config, side)
    made = {"kind": "characters"} if name == "CharacterTokenizer" else {"kind": "words"}
    if name == "SentencePieceTokenizer":
        made = _sentencepiece(opennmt_config, side, parameters)
    elif name == "OpenNMTTokenizer":
        made = _builtin_tokenizer(parameters) or made
    if "file" in made:
        return made | {"file": opennmt_config.path(str(made["file"]))}
    files = opennmt_config.strings(f"data.{side}_vocabulary")
    if len(files) > 1:
        raise opennmt_config.error(f"data.{side}_vocabulary", "one file")
    if files:
        return made | {"file": opennmt_config.path(files[0])}
    # the kind for words without a vocabulary file, whose vocabulary comes from the corpus
    return {"kind": "whitespace"} if made["kind"] == "words" else made


def _sentencepiece(opennmt_config, side, parameters):
    key = f"data.{side}_tokenization"
    if not isinstance(parameters.get("model"), str):
        raise opennmt_config.error(key, "params with the path of a SentencePiece model")
    made = {"kind": "sentencepiece", "file": parameters["model"]}
    best, alpha = parameters.get("nbest_size", 0), parameters.get("alpha", 1.0)
    if not isinstance(best, int) or not isinstance(alpha, int | float):
        raise opennmt_config.error(key, "numbers for nbest_size and alpha")
    if best not in (0, 1):
        made["sampling"] = {"alpha": alpha, "nbest": max(best, -1)}
    return made


def embeddings(conversion: ConfigConversion) -> None:
    """Translates files of pretrained embeddings, and whether they are trained."""
    opennmt_config = conversion.opennmt_config
    for side in SIDES:
        key = f"data.{side}_embedding"
        if not opennmt_config.mapping(key):
            conversion.add_same(key, "embeddings begin at random")
            continue
        paths = opennmt_config.strings(f"{key}.path")
        if len(paths) != 1:
            raise opennmt_config.error(f"{key}.path", "a file of vectors")
        conversion.set_keys(
            f"{key}.path", training={f"{side}_embeddings": opennmt_config.path(paths[0])}
        )
        conversion.add_same(
            f"{key}.with_header", "a first line of two numbers is taken for a header"
        )
        conversion.add_same(f"{key}.case_insensitive", "a word is also looked for in lower case")
        if opennmt_config.flag(f"{key}.trainable", True):
            conversion.add_same(f"{key}.trainable", "embeddings are trained")
        else:
            shared = conversion.config.get("model", {}).get("tie") == "all"
            frozen = [
                *conversion.config.get("training", {}).get("freeze", []),
                "source/table" if shared else f"{side}/table",
            ]
            conversion.set_keys(f"{key}.trainable", training={"freeze": frozen})
