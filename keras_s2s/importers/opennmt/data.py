"""Their `data` section: corpora, vocabularies, tokenization, embeddings."""

import os

from keras_s2s.config.yaml_files import read_yaml as read_yaml
from keras_s2s.importers.opennmt.opennmt_config import Theirs, from_text

__all__ = ["corpora", "embeddings", "ends_source", "same_vocabulary", "tokenizers"]

BEFOREHAND = "its tokens are read as they are: cut the texts with it beforehand"
SIDES = ("source", "target")


def corpora(job) -> None:
    """Training and validation files."""
    theirs = job.theirs
    sides = [theirs.texts(f"data.train_{name}_file") for name in ("features", "labels")]
    guided = theirs.get("params.guided_alignment_type") is not None
    beside = {
        "weights": theirs.texts("data.example_weights"),
        "alignments": theirs.texts("data.train_alignments") if guided else [],
    }
    if any(sides):
        _check_files(theirs, sides, beside)
        files = dict(zip(SIDES, sides, strict=True)) | {k: v for k, v in beside.items() if v}
        rows = [
            dict(zip(files, map(theirs.path, row), strict=True))
            for row in zip(*files.values(), strict=True)
        ]
        _weigh(job, rows)
        train = rows if len(rows) > 1 else rows[0]
        names = ["train_features_file", "train_labels_file", "example_weights"]
        for name in [*names, "train_alignments"] if guided else names:
            if theirs.has(f"data.{name}"):
                job.put(f"data.{name}", data={"train": train})
    else:
        job.refuse("data.example_weights", "there are no training files")
        if guided:
            job.refuse("data.train_alignments", "there are no training files")
        job.refuse("data.train_files_weights", "there are no training files")
    _validation(job)


def _check_files(theirs, sides, beside):
    expected = f"{len(sides[0])} files, as data.train_features_file has"
    if not sides[0] or len(sides[1]) != len(sides[0]):
        raise theirs.wrong("data.train_labels_file", expected)
    for name, files in zip(("example_weights", "train_alignments"), beside.values(), strict=True):
        if files and len(files) != len(sides[0]):
            raise theirs.wrong(f"data.{name}", expected)


def _weigh(job, rows):
    key = "data.train_files_weights"
    weights = job.theirs.get(key)
    if weights is None:
        job.same(key, "a corpus is shown once an epoch")
        return
    good = isinstance(weights, list) and len(weights) == len(rows)
    numbers = good and all(isinstance(w, int | float) and w > 0 for w in weights)
    if not numbers:
        raise job.theirs.wrong(key, f"{len(rows)} numbers above 0, one for each training file")
    for row, weight in zip(rows, weights, strict=True):
        row["weight"] = weight
    train = rows if len(rows) > 1 else rows[0]
    job.put(key, "how often an epoch shows each corpus", data={"train": train})


def _validation(job):
    theirs = job.theirs
    keys = ["data.eval_features_file", "data.eval_labels_file"]
    files = [theirs.texts(key) for key in keys]
    if not any(files):
        return
    for key, found in zip(keys, files, strict=True):
        if len(found) != 1:
            raise theirs.wrong(key, "one file")
    valid = {side: theirs.path(found[0]) for side, found in zip(SIDES, files, strict=True)}
    for key in keys:
        job.put(key, data={"valid": valid})


def same_vocabulary(theirs: Theirs) -> bool:
    """Whether both sides name one vocabulary file."""
    files = [theirs.get(f"data.{side}_vocabulary") for side in SIDES]
    return files[0] is not None and files[0] == files[1]


def ends_source(job) -> bool:
    """Whether sources end with `</s>`; says what becomes of the sequence controls."""
    theirs = job.theirs
    end = theirs.flag("data.source_sequence_controls.end")
    for side in SIDES:
        key = f"data.{side}_sequence_controls"
        if not theirs.mapping(key):
            job.same(key, "a target stands between <s> and </s>")
        start, last = theirs.flag(f"{key}.start", side == "target"), f"{key}.end"
        expected = side == "target"
        if start == expected:
            job.same(f"{key}.start", "a target begins with <s>, a source with its first token")
        else:
            job.refuse(f"{key}.start", "a target begins with <s>, a source with its first token")
        if side == "target" and theirs.flag(last, True):
            job.same(last, "a target ends with </s>")
        elif side == "target":
            job.refuse(last, "a target ends with </s>")
        elif job.model is None:
            job.refuse(last, "model.encoder.source_end, once --model-type says which encoder")
    return end


def tokenizers(job) -> None:
    """Vocabularies and tokenization as `data.tokenizer`, or one for each side."""
    found = {side: _tokenizer(job, side) for side in SIDES}
    if found["source"] == found["target"] and "file" in found["source"]:
        made = {"tokenizer": found["source"] | {"shared": True}}
        names = dict.fromkeys(SIDES, "tokenizer")
    else:
        made = {f"{side}_tokenizer": found[side] for side in SIDES}
        names = {side: f"{side}_tokenizer" for side in SIDES}
    for side in SIDES:
        _say_tokenizer(job, side, {names[side]: made[names[side]]})
    job.ours.setdefault("data", {}).update(made)


def _say_tokenizer(job, side, ours):
    vocabulary, key = f"data.{side}_vocabulary", f"data.{side}_tokenization"
    (made,) = ours.values()
    if made["kind"] == "sentencepiece":
        job.refuse(vocabulary, "a SentencePiece model is its own vocabulary")
    else:
        job.put(vocabulary, "its first three lines are our special ids", data=ours)
    settings, name = _settings(job.theirs, side)
    known = ("", "SpaceTokenizer", "CharacterTokenizer", "SentencePieceTokenizer")
    if name in known or (name == "OpenNMTTokenizer" and _plain(settings) is not None):
        job.put(key, data=ours)
    elif name == "OpenNMTTokenizer":
        job.refuse(key, f"pyonmttok's own rules; {BEFOREHAND}")
    else:
        job.refuse(key, f"{name}; {BEFOREHAND}")


def _settings(theirs, side) -> tuple[dict, str]:
    """The parameters and the type of a side's tokenization."""
    key = f"data.{side}_tokenization"
    value = theirs.get(key)
    if isinstance(value, str):
        path = theirs.path(value)
        value = read_yaml(path)[0] if os.path.isfile(path) else from_text(value)
    if value is None and theirs.get(key) is None:
        return {}, ""
    if not isinstance(value, dict):
        raise theirs.wrong(key, "a mapping, or a file or JSON that holds one")
    if "type" not in value:
        return value, "OpenNMTTokenizer"
    parameters = value.get("params") or {}
    if not isinstance(parameters, dict):
        raise theirs.wrong(f"{key}.params", "a mapping")
    return parameters, str(value["type"])


def _plain(settings) -> dict | None:
    """Ours for a pyonmttok tokenization that does no more than ours does, or None."""
    given = {name: value for name, value in settings.items() if value not in (None, False)}
    if given.keys() == {"mode", "sp_model_path"} and given["mode"] == "none":
        return {"kind": "sentencepiece", "file": given["sp_model_path"]}
    if given == {"mode": "space"}:
        return {"kind": "words"}
    return None


def _tokenizer(job, side) -> dict:
    """One side's tokenizer in our configuration."""
    theirs = job.theirs
    settings, name = _settings(theirs, side)
    made = {"kind": "characters"} if name == "CharacterTokenizer" else {"kind": "words"}
    if name == "SentencePieceTokenizer":
        made = _sentencepiece(theirs, side, settings)
    elif name == "OpenNMTTokenizer":
        made = _plain(settings) or made
    if "file" in made:
        return made | {"file": theirs.path(str(made["file"]))}
    files = theirs.texts(f"data.{side}_vocabulary")
    if len(files) > 1:
        raise theirs.wrong(f"data.{side}_vocabulary", "one file")
    if files:
        return made | {"file": theirs.path(files[0])}
    # our kind for words without a vocabulary, which then comes from the corpus
    return {"kind": "whitespace"} if made["kind"] == "words" else made


def _sentencepiece(theirs, side, settings):
    key = f"data.{side}_tokenization"
    if not isinstance(settings.get("model"), str):
        raise theirs.wrong(key, "params with the path of a SentencePiece model")
    made = {"kind": "sentencepiece", "file": settings["model"]}
    best, alpha = settings.get("nbest_size", 0), settings.get("alpha", 1.0)
    if not isinstance(best, int) or not isinstance(alpha, int | float):
        raise theirs.wrong(key, "numbers for nbest_size and alpha")
    if best not in (0, 1):
        made["sampling"] = {"alpha": alpha, "nbest": max(best, -1)}
    return made


def embeddings(job) -> None:
    """Files of word vectors, and whether they are trained."""
    theirs = job.theirs
    for side in SIDES:
        key = f"data.{side}_embedding"
        if not theirs.mapping(key):
            job.same(key, "embeddings begin at random")
            continue
        paths = theirs.texts(f"{key}.path")
        if len(paths) != 1:
            raise theirs.wrong(f"{key}.path", "a file of vectors")
        job.put(f"{key}.path", training={f"{side}_embeddings": theirs.path(paths[0])})
        job.same(f"{key}.with_header", "a first line of two numbers is taken for a header")
        job.same(f"{key}.case_insensitive", "a word is also looked for in lower case")
        if theirs.flag(f"{key}.trainable", True):
            job.same(f"{key}.trainable", "embeddings are trained")
        else:
            shared = job.ours.get("model", {}).get("tie") == "all"
            frozen = [
                *job.ours.get("training", {}).get("freeze", []),
                "source/table" if shared else f"{side}/table",
            ]
            job.put(f"{key}.trainable", training={"freeze": frozen})
