"""Text to text by a LiteRT file, without TensorFlow.

translator = EdgeTranslator("model.tflite")
print(translator.translate(["hello"], beam_size=5))
"""

import json
import time

import numpy as np

from keras_s2s.serving.client import arguments
from keras_s2s.serving.edge import predict as edge_predict
from keras_s2s.serving.edge import requests
from keras_s2s.serving.edge.edge_file import EdgeFile
from keras_s2s.serving.edge.search import decode_rows
from keras_s2s.serving.edge.tokenizer import UNKNOWN, UNKNOWN_ID
from keras_s2s.serving.edge.tokenizers import make_tokenizer
from keras_s2s.signatures.fields import MISSING_SCORE, SCORE, TRANSLATE
from keras_s2s.signatures.responses import Hypothesis, Score

__all__ = ["EdgeTranslator"]

END_MARK = "</s>"


class EdgeTranslator:
    """A translator in one file, on NumPy and ai-edge-litert (and sentencepiece where it says so).

    Threads may share one; they take turns at its interpreters.

    Args:
        path: a file that `keras-s2s export --format litert` wrote.
        threads: that an operation may use.
        interpreters: calls that run at the same time; each has a copy of the weights.

    Attributes:
        card: the model card, a dict.

    Raises:
        StartError: there is no such file, or it is none of ours.
    """

    def __init__(self, path, threads=1, interpreters=1):
        self._file = EdgeFile(path, threads, interpreters)
        about = self._file.description
        self.card, self.caps, self._copies = self._file.card, about["caps"], about["copies"]
        self.defaults = about["defaults"]
        source = self._tokenizer("source", about["source"])
        shared = about["target"] == {"same_as": "source"}
        self._pair = source, source if shared else self._tokenizer("target", about["target"])
        self._dictionary = about.get("dictionary") or {}

    def _tokenizer(self, side, described):
        vocabulary = json.loads(self._file.entry(f"keras_s2s.{side}.vocabulary"))
        model = self._file.entry(f"keras_s2s.{side}.model") if described["model"] else None
        return make_tokenizer(described, vocabulary, model)

    def translate(self, texts, *, batch_size=1, **options) -> list[str]:
        """The best target of each text, "" for a text that is too long.

        Args:
            texts: list of strings.
            batch_size: texts decoded together.
            **options: inputs of `keras_s2s.signatures.TRANSLATE`: one value, or one for each text.

        Raises:
            ValueError: naming an option that there is not, or that is out of its range.
        """
        found = self.decode(texts, batch_size=batch_size, **options)
        return [hypotheses[0].text if hypotheses else "" for hypotheses in found]

    def decode(self, texts, *, batch_size=1, errors="raise", timeout=None, **options):
        """All hypotheses of each text, best first; arguments as for `translate`.

        Args:
            errors: `"raise"`, or `"return"` to get {row: message} beside the result, in which
                such a row has no hypothesis.
            timeout: seconds, after which a search stops and a TimeoutError is raised.
        """
        file = self._within(timeout)
        rows = self._rows(texts, options)
        problems = {i: row.error for i, (_, row) in enumerate(rows) if row.error}
        good = [i for i in range(len(rows)) if i not in problems]
        found = [[] for _ in rows]
        for first in range(0, len(good), batch_size):
            batch = good[first : first + batch_size]
            answers = decode_rows(file, [rows[i] for i in batch])
            for i, answer in zip(batch, answers):
                found[i] = self._hypotheses(answer, *rows[i])
        return self._answer(found, problems, errors)

    def stream(self, text, **options):
        """The greedy target of a text as it grows: a `Hypothesis` for every token.

        Args:
            text: a string.
            **options: as for `translate`, but for what asks for more than one hypothesis.

        Returns:
            An iterator; `finished` is True of the last alone, if the model ended it.

        Raises:
            ValueError: naming the argument.
        """
        if options.get("alternatives_at") is not None:
            raise ValueError("alternatives_at: expected none of a stream, which follows one target")
        ((source, row),) = self._rows([text], options | {"beam_size": 1, "num_hypotheses": 1})
        if row.error:
            raise ValueError(row.error)
        return self._grow(source, row)

    def _grow(self, source, row):
        size = 0
        for answer, done in decode_rows(self._file, [(source, row)], follow=True):
            found = self._hypotheses(answer, source, row)
            if found and (done or len(found[0].tokens) > size):
                size = len(found[0].tokens)
                yield found[0]

    def score(self, texts, targets=None, target_tokens=None, *, errors="raise"):
        """How likely the model holds given targets: a list of `Score`.

        Args:
            texts: list of strings.
            targets: as many strings.
            target_tokens: or as many lists of tokens.
            errors: as for `decode`; such a row has an empty `Score`.
        """
        given = arguments.target_inputs(texts, targets, target_tokens)
        rows = {name: [_text(one) for one in column] for name, column in given.items()}
        blank = [""] * len(rows["text"])
        found, problems = self.score_rows(
            rows["text"], rows.get("target", blank), rows.get("target_tokens", blank)
        )
        return self._answer(found, problems, errors)

    def predict(self, signature, inputs, outputs=None, timeout=None) -> dict:
        """Answers a request as a served model does, see `edge_predict.predict`.

        Args:
            outputs: names of those wanted; None is all.
            timeout: as for `decode`.
        """
        found = edge_predict.predict(self, signature, inputs, timeout)
        return {name: found[name] for name in outputs or found}

    def run(self, signature, **inputs) -> dict:
        """Calls a signature of the file, see `edge_file.EdgeFile.run`."""
        return self._file.run(signature, **inputs)

    def offers(self, signature) -> bool:
        """Whether the file can answer `predict` for a signature: an old one may lack `score`."""
        needed = signature if signature == SCORE.name else "translate_ids"
        return needed in self._file.description["signatures"]

    def source_tokens(self, text) -> list[str]:
        """What the model reads of a text: its tokens and the end."""
        return [*requests.tokenize_source(text, self._pair, self.caps).pieces, END_MARK]

    def _within(self, timeout):
        return self._file if timeout is None else self._file.until(time.monotonic() + timeout)

    def score_rows(self, texts, targets, target_tokens, timeout=None):
        """`Score`s of targets given as text or as tokens, one a line, and {row: message}."""
        file, found, problems = self._within(timeout), [], {}
        for number, (text, target, lines) in enumerate(zip(texts, targets, target_tokens)):
            source = requests.tokenize_source(text, self._pair, self.caps)
            pieces = self._pair[1].pieces(target)
            target, lines = _text(target), _text(lines)
            pieces = [*pieces, *filter(None, lines.split("\n"))]
            problem = source.error
            if target and lines:
                problem = problem or "target: expected none beside target_tokens"
            problem = problem or self._too_long(target, lines, pieces)
            if problem:
                problems[number] = problem
            found.append(
                Score(MISSING_SCORE, [], [], [], [])
                if problem
                else self._score(file, source, pieces)
            )
        return found, problems

    def _too_long(self, target, lines, pieces):
        for name, size, cap in (
            ("target bytes", len(target.encode()), "text_bytes"),
            ("target_tokens bytes", len(lines.encode()), "text_bytes"),
            ("target tokens", len(pieces), "source_length"),
        ):
            if size > self.caps[cap]:
                return f"{name}: expected 0 to {self.caps[cap]}, came {size}"
        return ""

    def _score(self, file, source, pieces):
        target = self._pair[1]
        ids = requests.target_ids(source.pieces, pieces, target, self._copies)
        found = file.run(
            SCORE.name,
            ids=np.array([source.ids], np.int32),
            copy_ids=np.array([source.copy_ids], np.int32),
            lengths=np.array([len(source.ids)], np.int32),
            targets=np.array([ids or [0]], np.int32),
            target_lengths=np.array([len(ids)], np.int32),
        )
        each = found["token_log_probs"][0, : len(ids) + 1].tolist()
        words, sums = [], []
        for place, (piece, value) in enumerate(zip(pieces, each)):
            if place and not target.is_word_start(piece):
                words[-1], sums[-1] = [*words[-1], piece], sums[-1] + value
            else:
                words, sums = [*words, [piece]], [*sums, value]
        words = [*map(target.detokenize, words), END_MARK]
        return Score(
            float(found["log_prob"][0]), [*pieces, END_MARK], each, words, [*sums, each[-1]]
        )

    def _rows(self, texts, options):
        options = {name: value for name, value in options.items() if value is not None}
        beam = options.get("beam_size")
        if isinstance(beam, int) and "num_hypotheses" not in options:
            options["num_hypotheses"] = min(self.defaults["num_hypotheses"], beam)
        columns = arguments.search_inputs(TRANSLATE, texts, options)
        texts = columns.pop("text")
        rows = []
        for i, text in enumerate(texts):
            source = requests.tokenize_source(text, self._pair, self.caps)
            given = self.defaults | {name: _plain(column[i]) for name, column in columns.items()}
            row = requests.tokenize_options(given, source, self._pair[1], self._copies, self.caps)
            rows.append((source, row))
        return rows

    def _hypotheses(self, answer, source, row):
        tokens_of = [
            self._tokens(ids, source, row, maps)
            for ids, maps in zip(answer["ids"], answer["alignment"])
        ]
        found = []
        for k, (tokens, score) in enumerate(zip(tokens_of, answer["score"])):
            if score <= MISSING_SCORE / 2:
                continue
            length = int(answer["lengths"][k])
            found.append(
                Hypothesis(
                    text=self._pair[1].detokenize(tokens[:length]),
                    score=float(score),
                    log_prob=float(answer["log_prob"][k]),
                    tokens=tokens[:length],
                    source_tokens=[*source.pieces, END_MARK],
                    alignment=answer["alignment"][k, :length, : len(source.ids)],
                    finished=bool(answer["finished"][k]),
                    token_log_probs=answer["token_log_probs"][k, : length + 1].tolist(),
                )
            )
        return found

    def _tokens(self, ids, source, row, maps):
        """The strings of target ids, copies read from the source."""
        tokens, size = [], len(self._pair[1].vocabulary)
        for number, looks in zip(ids.tolist(), maps):
            place = number - size
            if 0 <= place < len(source.pieces):
                token = source.pieces[place]
            else:
                token = self._pair[1].string(UNKNOWN_ID if place >= 0 else number)
            if token == UNKNOWN and row.options["replace_unknown"] and source.pieces:
                seen = source.pieces[int(looks[: len(source.pieces)].argmax())]
                token = self._dictionary.get(seen) or seen
            tokens.append(token)
        return tokens

    def _answer(self, found, problems, errors):
        if errors == "return":
            return found, problems
        for problem in problems.values():
            if not problem.startswith("text"):
                raise ValueError(problem)
        return found


def _plain(value):
    # so that tokenizers see what stood there: they differ in what they make of broken UTF-8
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value.item()


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
