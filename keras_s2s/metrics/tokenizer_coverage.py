"""How a tokenizer fits a corpus: what it knows, how long texts become, which are the longest."""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.corpus_readers import BLOCK_SIZE, as_list, open_corpus
from keras_s2s.tokenizers import UNKNOWN_ID, Tokenizer

__all__ = ["Coverage", "measure"]

PERCENTILES = (50, 95, 99)
_MOST_KINDS = 1 << 18  # of unknown pieces that are counted; beyond, the rare ones are forgotten


@dataclass
class Coverage:
    """What a tokenizer makes of one side of some corpora; lengths are in pieces.

    Attributes:
        lines, empty: texts, and those of them without any piece.
        pieces, known: running pieces, and the share of them that the vocabulary holds.
        characters, known_characters: of the texts, and the share that lies in known pieces.
        used: entries of the vocabulary that occur.
        mean, percentiles, longest: of the lengths; a percentile is a length that so many in a
            hundred texts do not exceed.
        max_length, beyond: the limit, and the number of texts that exceed it.
        offenders: the longest texts as (file:line, length).
        unknown: the most frequent unknown pieces with their numbers.
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

    def to_dict(self) -> dict:
        """Every figure with its name, for JSON."""
        return asdict(self)


def measure(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    most: int = 5,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Coverage]:
    """Reads corpora once and gives the coverage of `source` and of `target`.

    Args:
        corpora: files of pairs.
        source, target: tokenizers of the two sides.
        max_length: most pieces of a side in training.
        most: so many offenders and unknown pieces.
        progress: called with the pairs read so far.

    Raises:
        UserError: as `data.read_pairs`.
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
    """The running counts of one side."""

    def __init__(self, tokenizer):
        spec = [tf.TensorSpec([None], tf.string)]
        self.cut = tf.function(_cutter(tokenizer), input_signature=spec, autograph=False)
        self.lengths, self.unknown, self.sums = Counter(), Counter(), Counter()
        self.used = np.zeros(tokenizer.size, bool)
        self.longest = []

    def add(self, texts, path, first, most):
        cut = {name: value.numpy() for name, value in self.cut(tf.constant(texts)).items()}
        known, lengths = cut["ids"] != UNKNOWN_ID, cut["lengths"].tolist()
        self.sums["known"] += int(known.sum())
        self.sums["characters"] += int(cut["characters"].sum())
        self.sums["lost"] += int(cut["lost"].sum())
        self.used[cut["ids"][known]] = True
        self.lengths.update(lengths)
        self.unknown.update(cut["unknown"].tolist())
        if len(self.unknown) > _MOST_KINDS:
            self.unknown = Counter(dict(self.unknown.most_common(_MOST_KINDS // 2)))
        found = [(length, f"{path}:{n}") for n, length in enumerate(lengths, first)]
        self.longest = heapq.nlargest(most, self.longest + found, key=lambda one: one[0])

    def result(self, max_length, most) -> Coverage:
        lengths = np.array(sorted(self.lengths))
        texts = np.array([self.lengths[length] for length in lengths])
        pieces, characters = int(lengths @ texts), self.sums["characters"]
        ranks = [max(-(-texts.sum() * p // 100), 1) for p in PERCENTILES]
        places = np.searchsorted(texts.cumsum(), ranks)
        return Coverage(
            lines=int(texts.sum()),
            empty=self.lengths[0],
            pieces=pieces,
            known=self.sums["known"] / pieces if pieces else 1.0,
            characters=characters,
            known_characters=1.0 - self.sums["lost"] / max(characters, 1),
            used=int(self.used.sum()),
            mean=pieces / int(texts.sum()),
            percentiles=dict(zip(PERCENTILES, lengths[places].tolist(), strict=True)),
            longest=int(lengths[-1]),
            max_length=max_length,
            beyond=int(texts[lengths > max_length].sum()),
            offenders=[(place, length) for length, place in self.longest],
            unknown=[(p.decode(errors="replace"), n) for p, n in self.unknown.most_common(most)],
        )


def _cutter(tokenizer):
    """A function of texts [B]: their lengths, of all N pieces the ids, and what has none."""

    def cut(texts):
        pieces = tokenizer.pieces(texts)  # [B, None]
        ids = tokenizer.ids(pieces.values)  # [N]
        unknown = pieces.values[ids == UNKNOWN_ID]
        shown = tokenizer.detokenize(unknown[:, None])  # without marks such as ##
        return {
            "lengths": pieces.row_lengths(),
            "ids": ids,
            "unknown": unknown,
            "characters": tf.strings.length(texts, unit="UTF8_CHAR"),
            "lost": tf.strings.length(shown, unit="UTF8_CHAR"),
        }

    return cut
