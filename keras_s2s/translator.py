"""Strings -> strings: tokenizers, model and search as one."""

import logging
from pathlib import Path

import tensorflow as tf

from keras_s2s import catalog, checkpoints, search, tokenizers
from keras_s2s.config import Config, Decoding, UserError
from keras_s2s.data import make_source, target_strings
from keras_s2s.signatures import CAPS, MISSING_SCORE, PENALTY, TRANSLATE, Hypothesis

__all__ = ["Translator"]

END_MARK = "</s>"  # names the source's end among `source_tokens`; it too can be attended to
log = logging.getLogger(__name__)


class Translator:
    """A model with its tokenizers.

    Args:
        model: a `Seq2Seq`; decoding runs in float32 whatever its policy.
        source_tokenizer, target_tokenizer: `Tokenizer`s of the model's vocabularies.
        decoding: default options of search; `Decoding()` when None.

    Attributes:
        tables: `tf.Module` of what an export must track besides the model's variables.

    Raises:
        ValueError: when a vocabulary and the model differ in size.
    """

    def __init__(self, model, source_tokenizer, target_tokenizer, decoding=None):
        for name, tokenizer, size in (
            ("source_tokenizer", source_tokenizer, model.source.vocabulary_size),
            ("target_tokenizer", target_tokenizer, model.vocabulary_size),
        ):
            if tokenizer.size != size:
                raise ValueError(
                    f"{name}: expected {size} entries, the model's, came {tokenizer.size}"
                )
        self.model = catalog.with_policy(model, "float32")
        self.source_tokenizer, self.target_tokenizer = source_tokenizer, target_tokenizer
        self.decoding = decoding or Decoding()
        self.tables = tf.Module()
        self.tables.source, self.tables.target = source_tokenizer, target_tokenizer
        specs = [tf.TensorSpec([None], field.dtype, field.name) for field in TRANSLATE.inputs]
        self._decode = tf.function(self.graph, input_signature=specs, autograph=False)

    @classmethod
    def load(cls, run, checkpoint: str = "best") -> "Translator":
        """The translator of a run directory.

        Args:
            run: the directory that training or `save` wrote.
            checkpoint: `"best"` or `"last"`.

        Raises:
            UserError: naming the file that is missing or damaged.
        """
        run = Path(run)
        decoding = Config.of_run(run).decoding
        pair = tokenizers.load_pair(run / "tokenizers")
        model = checkpoints.load_model(run / checkpoint)
        try:
            return cls(model, *pair, decoding)
        except ValueError as error:
            raise UserError(f"{run / 'tokenizers'}: {error}") from None

    def save(self, run) -> None:
        """Writes a run directory that `load` and every command read."""
        run = Path(run)
        tokenizers.save_pair(run / "tokenizers", self.source_tokenizer, self.target_tokenizer)
        checkpoints.save(self.model, run / "best", {"step": 0})
        Config(decoding=self.decoding).save(run / "config.yml")

    def translate(self, texts, *, beam_size=None, num_hypotheses=None, length_penalty=None,
                  max_length=None, batch_size=32):  # fmt: skip
        """The best target of each text.

        Args:
            texts: list of strings.
            beam_size, num_hypotheses, length_penalty, max_length: options of the search, as in
                `keras_s2s.signatures.TRANSLATE`; None takes the run's default.
            batch_size: texts decoded together.

        Returns:
            list of strings, one for every text, also for an empty one.

        Raises:
            UserError: a ValueError, naming an option that is out of its range.
        """
        found = self.decode(
            texts, beam_size=beam_size, num_hypotheses=num_hypotheses,
            length_penalty=length_penalty, max_length=max_length, batch_size=batch_size,
        )  # fmt: skip
        return [hypotheses[0].text if hypotheses else "" for hypotheses in found]

    def decode(self, texts, *, batch_size=32, **options):
        """All hypotheses of each text; arguments and errors as for `translate`.

        Returns:
            for each text a list of `Hypothesis`, best first.
        """
        if isinstance(texts, str):
            raise ValueError("texts: expected a list of strings, came one string")
        texts, options = list(texts), self._options(options)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = [None] * len(texts)
        for first in range(0, len(texts), batch_size):
            rows = order[first : first + batch_size]
            for row, hypotheses in zip(rows, self._batch([texts[i] for i in rows], options)):
                found[row] = hypotheses
        return found

    def _options(self, given):
        known = {field.name for field in TRANSLATE.inputs[1:]}
        for name in given:
            if name not in known:
                raise UserError(
                    f"{name}: unknown option, expected one of {', '.join(sorted(known))}"
                )
        options = {
            name: self.defaults()[name] if given.get(name) is None else given[name]
            for name in known
        }
        if given.get("beam_size") is not None and given.get("num_hypotheses") is None:
            options["num_hypotheses"] = min(options["num_hypotheses"], options["beam_size"])
        return options

    def _batch(self, texts, options):
        encoded = [text.encode("utf-8", "replace") for text in texts]
        columns = [
            tf.fill([len(texts)], tf.constant(options[field.name], field.dtype))
            for field in TRANSLATE.inputs[1:]
        ]
        outputs = {
            name: x.numpy() for name, x in self._decode(tf.constant(encoded), *columns).items()
        }
        for text, error in zip(texts, outputs["error"]):
            if error.startswith(b"text"):
                log.warning("%s: an empty target for %.40s", error.decode(), text)
            elif error:
                raise UserError(error.decode())
        return [self._row(outputs, row) for row in range(len(texts))]

    @staticmethod
    def _row(outputs, row):
        def strings(column):
            return [piece.decode("utf-8", "replace") for piece in column]

        source = [piece for piece in strings(outputs["source_tokens"][row]) if piece]
        found = []
        for k, score in enumerate(outputs["score"][row]):
            if score <= MISSING_SCORE / 2:
                continue
            length = outputs["lengths"][row, k]
            found.append(
                Hypothesis(
                    text=outputs["text"][row, k].decode("utf-8", "replace"),
                    score=float(score),
                    log_prob=float(outputs["log_prob"][row, k]),
                    tokens=strings(outputs["tokens"][row, k, :length]),
                    source_tokens=source,
                    alignment=outputs["alignment"][row, k, :length, : len(source)],
                    finished=bool(outputs["finished"][row, k]),
                )
            )
        return found

    def graph(self, text, *columns, **given):
        """The `translate` signature: tensors in, tensors out, for every loop and every export.

        Args:
            text: string [B].
            beam_size, num_hypotheses, length_penalty, max_length: [B], or [1] for all rows.

        Returns:
            dict of the outputs of `keras_s2s.signatures.TRANSLATE`.
        """
        given |= dict(zip(TRANSLATE.options(), columns))
        return self._run(text, given, alignment=True)

    def _run(self, text, given, alignment):
        sizes = tf.strings.length(text)
        pieces = self.source_tokenizer.pieces(tf.strings.substr(text, 0, CAPS["text_bytes"]))
        options, error = check(given, pieces, sizes)
        pieces = pieces[:, : CAPS["source_length"]]
        source = self._source(pieces)
        found = search.search(
            self.model.begin, self.model.next, source, options, alignment=alignment
        )
        missing = found.score <= MISSING_SCORE / 2
        # A row with an error gives no hypothesis, and fails nobody else's.
        blank = missing | tf.expand_dims(tf.not_equal(error, ""), 1)  # [B, K]
        tokens = target_strings(found.ids, pieces, self.target_tokenizer)  # [B, K, T]
        tokens = tf.where(_like(blank, 3), "", tokens)
        outputs = {
            "text": self.target_tokenizer.detokenize(tokens),
            "score": tf.where(blank, MISSING_SCORE, found.score),
            "log_prob": tf.where(blank, MISSING_SCORE, found.log_prob),
            "tokens": tokens,
            "token_log_probs": tf.fill(tf.shape(tf.pad(tokens, [[0, 0], [0, 0], [0, 1]])), 0.0),
            "lengths": tf.where(blank, 0, found.lengths),
            "finished": found.finished & ~blank,
            "source_tokens": _with_end(pieces),
            "error": error,
        }
        if alignment:
            outputs["alignment"] = tf.where(_like(blank, 4), 0.0, found.alignment)
        return outputs

    def graph_default(self, text):
        """The `serving_default` signature: `graph` under the default options, best hypothesis."""
        given = {
            field.name: tf.constant([self.defaults()[field.name]], field.dtype)
            for field in TRANSLATE.inputs[1:]
        }
        outputs = self._run(text, given, alignment=False)
        return {"text": outputs["text"][:, 0], "score": outputs["score"][:, 0]}

    def defaults(self) -> dict:
        """The value of each option that a request leaves out."""
        return {
            name: getattr(self.decoding, name, field.default)
            for name, field in TRANSLATE.options().items()
        }

    def _source(self, pieces):
        source = make_source(
            pieces, self.source_tokenizer, self.target_tokenizer, copy=self.model.copies
        )
        # An empty batch has no longest row: give it one place, so that every loop has one.
        missing = tf.maximum(1 - tf.shape(source["mask"])[1], 0)
        return {name: tf.pad(x, [[0, 0], [0, missing]]) for name, x in source.items()}


def _like(mask, rank):
    """[B, K] with further axes of one, to stand beside a tensor of that rank."""
    return tf.reshape(mask, tf.concat([tf.shape(mask), [1] * (rank - 2)], 0))


def _with_end(pieces):
    """Ragged pieces -> string [B, S] with the end's mark behind each row's last piece."""
    ends = tf.fill([pieces.nrows(), 1], END_MARK)
    return tf.concat([pieces, tf.RaggedTensor.from_tensor(ends)], 1).to_tensor("")


def check(given, pieces, sizes):
    """Options of a request as the search takes them, and what was wrong with each row's.

    Args:
        given: dict of the options' tensors, [B] or [1].
        pieces: ragged string [B, None], the source.
        sizes: int32 [B], bytes of each text.

    Returns:
        `search.Options` of [B] tensors inside their caps, and string [B], "" where all was well.
    """
    batch = pieces.nrows(out_type=tf.int32)
    given = {
        name: tf.broadcast_to(given.get(name, tf.constant(field.default, field.dtype)), [batch])
        for name, field in TRANSLATE.options().items()
    }
    error = tf.fill([batch], "")
    length = tf.cast(pieces.row_lengths(), tf.int32)
    beam = tf.clip_by_value(given["beam_size"], 1, CAPS["beam_size"])
    wanted = given["num_hypotheses"]
    ranges = (
        ("beam_size", given["beam_size"], 1, tf.fill([batch], CAPS["beam_size"])),
        ("num_hypotheses", wanted, 1, tf.minimum(beam, CAPS["beam_size"])),
        ("max_length", given["max_length"], 0, tf.fill([batch], CAPS["max_length"])),
        ("text bytes", sizes, 0, tf.fill([batch], CAPS["text_bytes"])),
        ("text tokens", length, 0, tf.fill([batch], CAPS["source_length"])),
    )
    for name, value, low, high in ranges:
        wrong = (value < low) | (value > high)
        error = _note(error, wrong, f"{name}: expected {low} to ", high, value)
    penalty = given["length_penalty"]
    # Also true of a NaN, for which no comparison holds.
    wrong = ~((penalty >= -PENALTY) & (penalty <= PENALTY))
    expected = f"length_penalty: expected {-PENALTY:g} to "
    error = _note(error, wrong, expected, tf.fill([batch], PENALTY), penalty)
    options = search.Options(
        beam_size=beam,
        num_hypotheses=tf.clip_by_value(wanted, 1, tf.minimum(beam, CAPS["beam_size"])),
        length_penalty=tf.where(wrong, 0.0, penalty),
        max_length=tf.clip_by_value(given["max_length"], 0, CAPS["max_length"]),
    )
    return options, error


def _note(error, wrong, expected, high, value):
    """`error` with a message in the rows that are `wrong` and have none yet: string [B]."""
    shortest = value.dtype.is_floating
    high, value = (tf.strings.as_string(x, shortest=shortest) for x in (high, value))
    parts = [expected, high, ", came ", value]
    return tf.where(wrong & tf.equal(error, ""), tf.strings.join(parts), error)
