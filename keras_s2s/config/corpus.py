"""The section of a corpus."""

from dataclasses import dataclass

from keras_s2s.config.formats import is_feature_file
from keras_s2s.config.validation import Section, setting

__all__ = ["Corpus"]


@dataclass(frozen=True)
class Corpus(Section):
    """A corpus of sequence pairs: two aligned files, or one file of pairs.

    Text files are UTF-8, plain or compressed by gzip, bzip2 or xz. Relative paths start at the
    working directory, `~` is the home directory, and remote paths (gs://, s3://, ...) are read by
    TensorFlow. A source or target that ends in `.npz`, `.tfrecord` or `.tfrecords` holds
    features, one example for each line of the other side (see `keras_s2s.data.feature_files`).

    Args:
        source, target: two files with one sequence per line.
        pairs: a file with lines `source<TAB>target`, optionally followed by `<TAB>weight`; or a
            `.jsonl` file of objects with the keys source, target and optionally weight.
        weights: a file with one number per line, the weight of each pair. The weight of a pair, 1
            when left out, multiplies its loss.
        alignments: a file of word alignments such as `0-0 1-2` (Pharaoh format: source and target
            word, counted from 0, words separated by white space), for
            `training.objectives.guided_alignment`.
        weight: number of times an epoch reads the corpus: 2 reads every pair twice, 0.5 reads
            every pair in one of two epochs.

    Example:

    >>> from keras_s2s.config import Corpus
    >>> Corpus(source="train.en", target="train.de").has_features
    (False, False)
    """

    source: str | None = setting(None, is_path=True)
    target: str | None = setting(None, is_path=True)
    pairs: str | None = setting(None, is_path=True)
    weights: str | None = setting(None, is_path=True)
    alignments: str | None = setting(None, is_path=True)
    weight: float = setting(1.0, low=0.001)

    def __post_init__(self) -> None:
        super().__post_init__()
        has_both = self.source is not None and self.target is not None
        has_either = self.source is not None or self.target is not None
        if (self.pairs is None) != has_both or (self.pairs is not None and has_either):
            paths = {key: getattr(self, key) for key in ("source", "target", "pairs")}
            paths = {key: path for key, path in paths.items() if path is not None}
            expected = "expected source and target, or pairs alone"
            self.fail("", f"{expected}, got {paths or 'nothing'}")
        for key in ("weights", "alignments"):
            if self.pairs is not None and getattr(self, key) is not None:
                self.fail(key, "expected source and target beside it, got pairs")

    @property
    def has_features(self) -> tuple[bool, bool]:
        """Whether the source and the target are features, by their file names."""
        return is_feature_file(self.source), is_feature_file(self.target)
