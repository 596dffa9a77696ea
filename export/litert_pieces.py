"""Text to text in a LiteRT file by operations of tf.text, which cut and join pieces.

They are none of LiteRT's own: a host has to link them in. Those that do not can still run the
other signatures of the file.
"""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import keras_s2s
from keras_s2s import arrays
from keras_s2s.config import SpecialIds, UserError
from keras_s2s.export.comparing import NotProven
from keras_s2s.export.litert_graphs import OPTIONS, handed
from keras_s2s.export.litert_proof import ask_file
from keras_s2s.export.litert_serving import default_options, is_plain
from keras_s2s.export.probes import ask
from keras_s2s.export.proving import PATIENCE
from keras_s2s.signatures import MISSING_SCORE
from keras_s2s.tokenizers import protos
from keras_s2s.tokenizers.base import SPECIAL_PIECES

__all__ = ["OPERATIONS", "PieceGraph", "check_offered", "check_pieces"]

OPERATIONS = ("TFText>FastSentencepieceDetokenize", "TFText>FastSentencepieceTokenize")
SPECIAL = SpecialIds()


def check_offered(translator) -> None:
    """Refuses what tf.text's operations cannot do.

    Raises:
        UserError: naming the side and what is expected of it.
    """
    if importlib.util.find_spec("tensorflow_text") is None:
        raise _refused("the package tensorflow-text", "none")
    if not is_plain(translator):
        raise _refused("a model that does not copy and the options of a plain search", "others")
    for side in ("source", "target"):
        tokenizer = getattr(translator, f"{side}_tokenizer")
        if tokenizer.kind != "sentencepiece":
            raise _refused(f"a {side} of SentencePiece's pieces", tokenizer.kind)
        proto = protos.read(tokenizer.model_file()[1])
        for wanted, came in _unfit(tokenizer, proto):
            raise _refused(f"a {side} {wanted}", came)


def _refused(expected, came):
    return UserError(f"text_operations: expected {expected}, came {came}")


def _unfit(tokenizer, proto):
    """What is wrong with a SentencePiece model: pairs of what is expected and what came."""
    pieces, kind = protos.vocabulary(proto), protos.model_type(proto)
    if kind != "unigram":
        yield "of a unigram model", kind
    if tokenizer.special_tokens:
        yield "without special tokens", f"{len(tokenizer.special_tokens)}"
    if [*tokenizer.vocabulary] != [*SPECIAL_PIECES, *pieces]:
        yield "whose vocabulary is its model's", "another"
    if len(pieces) != sum(piece.type == 1 for piece in proto.pieces):
        yield "of normal pieces alone", "byte fallback or symbols of the user's"
    if not proto.normalizer_spec.remove_extra_whitespaces:
        yield "that makes runs of spaces one", "a model that keeps them"
    if protos.SPACE not in pieces:
        yield "with a piece that is a space", "none"
    if any(piece.startswith(2 * protos.SPACE) for piece in pieces):
        yield "without pieces that begin with two spaces", "one that has them"


class _Pieces:
    """tf.text's operations over one SentencePiece model, with our ids."""

    def __init__(self, tokenizer):
        import tensorflow_text as tf_text

        proto = protos.read(tokenizer.model_file()[1])
        # It adds an end so that no tensor is without elements; ours takes its place.
        self._operations = tf_text.FastSentencepieceTokenizer(
            tokenizer.model_file()[1], add_eos=True
        )
        kinds = [piece.type for piece in proto.pieces]
        normal = [i for i, kind in enumerate(kinds) if kind == 1]
        self._unknown = kinds.index(2)
        ours = {number: place for place, number in enumerate(normal, len(SpecialIds()))}
        self._ours = [ours.get(i, SPECIAL.unknown) for i in range(len(kinds))]
        self._theirs = [self._unknown] * len(SpecialIds()) + normal
        self._space = [piece.piece for piece in proto.pieces].index(protos.SPACE)

    def ids(self, text):
        """One text [1] -> int32 [N]."""
        found = self._operations.tokenize(text).flat_values[:-1]
        return tf.gather(tf.constant(self._ours), found)

    def text(self, ids):
        """int32 [N], without an end -> one text [1].

        tf.text drops one space at the start, also that of an unknown piece's mark; the package
        sentencepiece drops all, but never that.
        """
        theirs = tf.gather(tf.constant(self._theirs), ids)
        shown = tf.cumsum(tf.cast(tf.not_equal(theirs, self._space), tf.int32)) > 0
        theirs = tf.gather(theirs, tf.reshape(tf.where(shown), [-1]))
        marked = tf.cast(tf.equal(theirs[:1], self._unknown), tf.int32)
        spaces = tf.fill([tf.reduce_sum(marked)], self._space)
        theirs = tf.concat([spaces, theirs], 0)
        splits = tf.stack([0, tf.shape(theirs)[0]])
        return self._operations.detokenize(tf.RaggedTensor.from_row_splits(theirs, splits, False))


class PieceGraph:
    """The signature `translate`: one text, by the translator's default options.

    Args:
        graphs: `litert_graphs.Graphs` of the model.
        translator: one that `check_offered` lets pass.
    """

    def __init__(self, graphs, translator):
        self._search, self._most = graphs.translate_ids, translator.caps["source_length"]
        pair = translator.source_tokenizer, translator.target_tokenizer
        self._source, self._target = map(_Pieces, pair)
        self._options = default_options(translator)

    def concrete(self):
        """The concrete function of one text, string [1]."""
        spec = tf.TensorSpec([None], tf.string, "text")
        with arrays.growing():
            return tf.function(self.translate, autograph=False).get_concrete_function(text=spec)

    def translate(self, text):
        """`text` [1] and its `score` [1]; two texts are refused."""
        rows, ids = tf.shape(text)[0], self._source.ids(text[:1])
        fits = tf.shape(ids)[0] <= self._most
        ids = tf.concat([ids[: self._most], [SPECIAL.end]], 0)
        size = tf.shape(ids)[0]
        ids = tf.reshape(ids, tf.stack([rows, size]))
        found = self._search(ids, tf.fill([rows], size), **self._given(rows))
        length = tf.where(fits, found["lengths"][0, 0], 0)
        score = tf.where(fits, found["score"][:, 0], MISSING_SCORE)
        return {"text": self._target.text(found["ids"][0, 0, :length]), "score": handed(score)}

    def _given(self, rows):
        return {name: tf.cast(tf.fill([rows], value), OPTIONS[name][0])
                for name, value in self._options.items()}  # fmt: skip


def check_pieces(path, place, texts):
    """Compares the signature with what the file answers by its other signatures.

    Args:
        path, place: as for `litert_proof.ask_file`.
        texts: list of strings or bytes.

    Raises:
        NotProven: with the first text that they answer otherwise, or why the file does not run.
    """
    (plain,) = ask_file(path, place, [ask("serving_default", texts)])
    raw = [one if isinstance(one, bytes) else one.encode() for one in texts]
    for one, expected, came in zip(raw, plain["text"], _answers(path, place, raw), strict=True):
        if came != expected:
            differs = f"expected {expected!r}, came {came!r}"
            raise NotProven(f"signature translate, text {one!r}: {differs}")


def _answers(path, place, texts):
    """What a process that has tf.text's operations finds."""
    asked, outcome = Path(place) / "texts.pickle", Path(place) / "found.pickle"
    asked.write_bytes(pickle.dumps(texts))
    outcome.unlink(missing_ok=True)
    root = str(Path(keras_s2s.__file__).parent.parent)
    command = [sys.executable, "-P", "-m", __name__, *map(str, (path, asked, outcome))]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True,
        errors="replace", stdin=subprocess.DEVNULL, timeout=10 * PATIENCE, check=False,
    )  # fmt: skip
    if not outcome.exists():
        last = " ".join(done.stderr.strip().splitlines()[-1:])
        raise NotProven(f"signature translate: its process ended by {done.returncode}: {last}")
    return pickle.loads(outcome.read_bytes())


def main(path, asked, outcome) -> None:
    """Answers pickled texts by a file's signature `translate`, with tf.text's operations."""
    from ai_edge_litert.interpreter import InterpreterWithCustomOps
    from tensorflow_text import tflite_registrar

    with open(asked, "rb") as file:
        texts = pickle.load(file)
    interpreter = InterpreterWithCustomOps(
        model_path=path, custom_op_registerers=tflite_registrar.SELECT_TFTEXT_OPS
    )
    run = interpreter.get_signature_runner("translate")
    made = [run(text=np.array([one], np.object_))["text"][0] for one in texts]
    Path(outcome).write_bytes(pickle.dumps(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
