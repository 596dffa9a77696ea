"""The section `data`: corpora, tokenizers and batches."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from keras_s2s.config.corpus import Corpus
from keras_s2s.config.noise import Noise
from keras_s2s.config.tokenizer import TokenizerConfig
from keras_s2s.config.validation import Section, setting
from keras_s2s.io import strip_compression_suffix

__all__ = ["Data"]


@dataclass(frozen=True)
class Data(Section):
    """Corpora, tokenizers and batches.

    Args:
        train: the training corpus, or a list of them.
        valid: the validation corpus.
        tokenizer: the tokenizer of both sides.
        source_tokenizer, target_tokenizer: the tokenizer of one side, in place of `tokenizer`.
        batch_tokens: tokens of a batch, counted on the longer side with padding; `auto` measures
            several sizes and uses the fastest within `memory_limit`.
        max_length: pairs with more tokens on a side are skipped.
        min_length: training pairs with fewer tokens on a side are skipped.
        max_ratio: training pairs with more tokens on one side for each token of the other are
            skipped.
        unique: whether to skip training pairs that occur earlier.
        cache: a directory for tokenized examples.
        noise: noise on the sources of `train`.
        memory_limit: GB that batches may use with `batch_tokens: auto`; None means four fifths of
            the free memory.

    Example:

    >>> from keras_s2s.config import Corpus, Data
    >>> data = Data(train=[Corpus(pairs="a.tsv"), Corpus(pairs="b.tsv", weight=0.5)])
    >>> len(data.train_corpora), data.batch_tokens
    (2, 4096)
    """

    train: Corpus | list[Corpus] | None = None
    valid: Corpus | None = None
    tokenizer: TokenizerConfig | None = None
    source_tokenizer: TokenizerConfig | None = None
    target_tokenizer: TokenizerConfig | None = None
    batch_tokens: int | Literal["auto"] = setting(4096, low=1)
    max_length: int = setting(100, low=1)
    min_length: int = setting(1, low=1)
    max_ratio: float | None = setting(None, low=1.0)
    unique: bool = False
    cache: str | None = setting(None, is_path=True)
    noise: Noise = field(default_factory=Noise)
    memory_limit: float | None = setting(None, above=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_length > self.max_length:
            expected = f"expected at most max_length, {self.max_length}"
            self.fail("min_length", f"{expected}, got {self.min_length}")
        for key in ("source_tokenizer", "target_tokenizer"):
            own = getattr(self, key)
            if own is not None and (own.shared or (self.tokenizer and self.tokenizer.shared)):
                self.fail(key, "expected tokenizer alone where shared is true, got both")
        self._check_features()
        self._check_cache()
        self._check_noise()
        self._check_composite_tokenizers()

    @property
    def train_corpora(self) -> list[Corpus]:
        """The training corpora; an empty list when there are none."""
        if self.train is None:
            return []
        return self.train if isinstance(self.train, list) else [self.train]

    @property
    def has_alignments(self) -> bool:
        """Whether a training corpus has alignments."""
        return any(corpus.alignments for corpus in self.train_corpora)

    @property
    def has_features(self) -> tuple[bool, bool]:
        """Whether the source and the target are features, by the file names of `train`."""
        corpora = self.train_corpora
        return corpora[0].has_features if corpora else (False, False)

    def filters(self) -> dict[str, Any]:
        """The filters of training pairs other than empty and too long ones."""
        return {key: getattr(self, key) for key in ("min_length", "max_ratio", "unique")}

    def tokenizers(self) -> tuple[TokenizerConfig, TokenizerConfig]:
        """The configurations of the source tokenizer and of the target tokenizer."""
        shared = self.tokenizer or TokenizerConfig()
        return self.source_tokenizer or shared, self.target_tokenizer or shared

    def _named_corpora(self) -> Iterator[tuple[str, Corpus]]:
        yield from (("train", corpus) for corpus in self.train_corpora)
        if self.valid is not None:
            yield "valid", self.valid

    def _check_features(self) -> None:
        has_features = self.has_features
        for key, corpus in list(self._named_corpora()):
            if corpus.has_features != has_features:
                expected = "expected the same sides to be features (.npz, .tfrecord) as in train"
                self.fail(key, f"{expected}, got {corpus.source or corpus.pairs}, {corpus.target}")
        if not any(has_features):
            return
        for key, is_features in zip(("source_tokenizer", "target_tokenizer"), has_features):
            if is_features and getattr(self, key) is not None:
                self.fail(key, "expected none for a side of features, got one")
        if self.tokenizer is not None and self.tokenizer.shared:
            self.fail("tokenizer", "expected shared: false beside a side of features, got true")

    def _check_cache(self) -> None:
        if self.cache is None:
            return
        conflicts = {
            "a side of features": any(self.has_features),
            "sampling, which segments texts anew each time": any(
                tokenizer.is_sampled for tokenizer in self.tokenizers()
            ),
            "noise": self.noise != Noise(),
            "alignments": self.has_alignments,
        }
        for conflict, is_present in conflicts.items():
            if is_present:
                self.fail("cache", f"expected none beside {conflict}, got {self.cache!r}")

    def _check_noise(self) -> None:
        if self.noise.changes_word_order and self.has_alignments:
            expected = "expected no drop and no permute beside alignments, which number the words"
            self.fail("noise", f"{expected}, got {self.noise}")

    def _check_composite_tokenizers(self) -> None:
        for key in ("tokenizer", "target_tokenizer"):
            own = getattr(self, key)
            if own is not None and own.is_composite:
                self.fail(key, f"expected {own.kind} for source_tokenizer only, got it here")
        source = self.source_tokenizer
        if source is None or source.kind != "sources":
            return
        if self.noise != Noise():
            self.fail("noise", f"expected none beside several sources, got {self.noise}")
        for _, corpus in self._named_corpora():
            pairs = strip_compression_suffix(corpus.pairs or "")
            if pairs and not pairs.endswith(".jsonl") and "\t" in (source.separator or ""):
                expected = "expected another separator than the tab beside pairs separated by tabs"
                self.fail("source_tokenizer", f"{expected}, got {corpus.pairs}")
