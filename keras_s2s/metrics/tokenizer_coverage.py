"""Coverage of a corpus by a tokenizer: known tokens, lengths, and the longest texts."""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.corpus_readers import BLOCK_SIZE, as_list, open_corpus
from keras_s2s.tokenizers import UNKNOWN_ID, Tokenizer

__all__ = ["Coverage", "measure"]

PERCENTILES = (50, 95, 99)
_MAX_UNKNOWN = 1 << 18  # distinct unknown pieces that are counted; beyond, rare ones are dropped


@dataclass
class Coverage:
    """Coverage of one side of a corpus by a tokenizer; lengths are in pieces.

    Attributes:
        lines, empty: numbers of texts, and of texts without any piece.
        pieces, known: number of pieces, and the fraction of them that is in the vocabulary.
        characters, known_characters: number of characters, and the fraction in known pieces.
        used: number of entries of the vocabulary that occur.
        mean, percentiles, longest: statistics of the lengths; percentile p is a length that p
            percent of the texts do not exceed.
        max_length, beyond: the limit, and the number of texts that exceed it.
        offenders: the longest texts as (file:line, length).
        unknown: the most frequent unknown pieces with their counts.
    """

    lines: int = 0
    empty: int = 0
    pieces: int = 0
    known: float = 1.0
    characters: int = 0
    known_characters: float = 1.0
    used: int = 0
    mean: float = 0.0
    percentiles: dict[int, int] = field(default_factory=dict)
    longest: int = 0
    max_length: int = 0
    beyond: int = 0
    offenders: list[tuple[str, int]] = field(default_factory=list)
    unknown: list[tuple[str, int]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Every figure by name, for JSON."""
        return asdict(self)


def measure(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    most: int = 5,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Coverage]:
    """Measures the coverage of corpora by the tokenizers of both sides, in one pass.

    Args:
        corpora: files of pairs.
        source, target: tokenizers of the two sides.
        max_length: largest number of pieces of a side in training.
        most: number of offenders and of unknown pieces to report.
        progress: called with the number of pairs read so far.

    Returns:
        `Coverage` of "source" and "target".

    Raises:
        UserError: as for `data.read_pairs`.
    """
    tallies = {"source": _Tally(source), "target": _Tally(target)}
    done = 0
    for corpus in as_list(corpora):
        rows = open_corpus(corpus)
        try:
            while block := rows.read(BLOCK_SIZE):
                first = rows.num_read - len(block.sources) + 1
                tallies["source"].add(block.sources, rows.paths[0], first, most)
                tallies["target"].add(block.targets, corpus.pairs or rows.paths[1], first, most)
                done += len(block.sources)
                if progress:
                    progress(done)
        finally:
            rows.close()
    return {side: tally.result(max_length, most) for side, tally in tallies.items()}


class _Tally:
    """Running counts of one side."""

    def __init__(self, tokenizer: Tokenizer):
        spec = [tf.TensorSpec([None], tf.string)]
        self.tokenize = tf.function(
            _tokenize_function(tokenizer), input_signature=spec, autograph=False
        )
        self.lengths, self.unknown, self.sums = Counter(), Counter(), Counter()
        self.used = np.zeros(tokenizer.size, bool)
        self.longest = []

    def add(self, texts: Sequence[str], path: str, first: int, most: int) -> None:
        """Counts texts that start at line `first` of a file."""
        batch = {name: x.numpy() for name, x in self.tokenize(tf.constant(texts)).items()}
        known, lengths = batch["ids"] != UNKNOWN_ID, batch["lengths"].tolist()
        self.sums["known"] += int(known.sum())
        self.sums["characters"] += int(batch["characters"].sum())
        self.sums["lost"] += int(batch["lost"].sum())
        self.used[batch["ids"][known]] = True
        self.lengths.update(lengths)
        self.unknown.update(batch["unknown"].tolist())
        if len(self.unknown) > _MAX_UNKNOWN:
            self.unknown = Counter(dict(self.unknown.most_common(_MAX_UNKNOWN // 2)))
        lines = [(length, f"{path}:{n}") for n, length in enumerate(lengths, first)]
        self.longest = heapq.nlargest(most, self.longest + lines, key=lambda line: line[0])

    def result(self, max_length: int, most: int) -> Coverage:
        """The coverage of all texts counted so far."""
        lengths = np.array(sorted(self.lengths))
        texts = np.array([self.lengths[length] for length in lengths])
        pieces, characters = int(lengths @ texts), self.sums["characters"]
        ranks = [max(-(-texts.sum() * p // 100), 1) for p in PERCENTILES]
        percentiles = lengths[np.searchsorted(texts.cumsum(), ranks)]
        return Coverage(
            lines=int(texts.sum()),
            empty=self.lengths[0],
            pieces=pieces,
            known=self.sums["known"] / pieces if pieces else 1.0,
            characters=characters,
            known_characters=1.0 - self.sums["lost"] / max(characters, 1),
            used=int(self.used.sum()),
            mean=pieces / int(texts.sum()),
            percentiles=dict(zip(PERCENTILES, percentiles.tolist(), strict=True)),
            longest=int(lengths[-1]),
            max_length=max_length,
            beyond=int(texts[lengths > max_length].sum()),
            offenders=[(line, length) for length, line in self.longest],
            unknown=[(p.decode(errors="replace"), n) for p, n in self.unknown.most_common(most)],
        )


def _tokenize_function(tokenizer):
    """A function of texts [B]: their lengths, the ids of all N pieces, and the unknown pieces."""

    def tokenize(texts):
        pieces = tokenizer.tokenize(texts)  # [B, None]
        ids = tokenizer.ids(pieces.values)  # [N]
        unknown = pieces.values[ids == UNKNOWN_ID]
        unknown_texts = tokenizer.detokenize(unknown[:, None])  # without marks such as ##
        return {
            "lengths": pieces.row_lengths(),
            "ids": ids,
            "unknown": unknown,
            "characters": tf.strings.length(texts, unit="UTF8_CHAR"),
            "lost": tf.strings.length(unknown_texts, unit="UTF8_CHAR"),
        }

    return tokenize
