"""The section about tokenizers: how text is cut into pieces."""

from dataclasses import dataclass, field
from typing import NamedTuple

from keras_s2s.config.validation import Section, setting

__all__ = [
    "FactorSizes",
    "MultiSourceSize",
    "SubwordSampling",
    "TokenizerConfig",
    "check_composites",
]

COMPOSITES = ("factors", "sources")
TOKENIZERS = (
    "sentencepiece",
    "wordpiece",
    "words",
    "whitespace",
    "characters",
    "bytes",
    *COMPOSITES,
)
SIZE = 8000
SEPARATORS = {"factors": "\N{HALFWIDTH FORMS LIGHT VERTICAL}", "sources": "\t"}


class FactorSizes(NamedTuple):
    """The vocabulary sizes of the word and of each factor of a token."""

    sizes: tuple[int, ...]


class MultiSourceSize(NamedTuple):
    """Of a side of several sources: the size of the vocabulary of all, and their number."""

    size: int
    parts: int


@dataclass(frozen=True)
class SubwordSampling(Section):
    """Subword regularisation: training texts are cut another way each time they are read.

    A unigram model takes `alpha`, the exponent of a cutting's probability (0: all alike), and
    draws among the `nbest` likeliest, or among all with -1 (Kudo 2018, arXiv 1804.10959). A BPE
    model takes `dropout`, the probability of leaving out a merge (Provilkov et al. 2020, arXiv
    1910.13267). Either makes more pieces: on Multi30k (8,000 entries) alpha 0.1 twice as many as
    without, dropout 0.1 a third more.
    """

    alpha: float | None = setting(None, low=0.0)
    nbest: int = setting(-1, low=-1)
    dropout: float | None = setting(None, above=0.0, below=1.0)

    def __post_init__(self):
        super().__post_init__()
        if (self.alpha is None) == (self.dropout is None):
            came = "both" if self.alpha is not None else "neither"
            self.fail("", f"expected alpha (unigram) or dropout (bpe), came {came}")
        if self.nbest in (0, 1) or self.nbest > 512:
            self.fail("nbest", f"expected -1 or an integer from 2 to 512, came {self.nbest}")


@dataclass(frozen=True)
class TokenizerConfig(Section):
    """How one side's text is cut into pieces.

    `kind` is one of sentencepiece, wordpiece, words, whitespace, characters and bytes; `model`
    (unigram or bpe) matters to sentencepiece alone. `size` is the most entries of the vocabulary,
    special ids included; None takes all there are (subwords need a number, bytes ignore it).
    `shared` trains one for both sides.

    `file` is a vocabulary that is there already, instead of one trained on the corpus: a
    SentencePiece `.model`, or one piece a line; `words` need one. `special_tokens` are texts such
    as `<2de>` that are never cut: each is one piece wherever it stands. `sampling` cuts training
    texts another way each time (sentencepiece alone).

    Two kinds, for a source alone, are made of `parts`, which are tokenizers themselves. `factors`
    reads tokens such as `word|NN`, a part for the word and one for each factor, of kind whitespace
    or words; `separator` is OpenNMT's U+FFE8 unless it is given. `sources` reads texts of several
    parts, with a tab or `separator` between them: a tokenizer for each, or one for all `count`.
    """

    kind: str = setting("sentencepiece", among=TOKENIZERS)
    model: str = setting("unigram", among=("unigram", "bpe"))
    size: int | None = setting(SIZE, low=5)
    shared: bool = False
    file: str | None = None
    special_tokens: list = field(default_factory=list)
    sampling: SubwordSampling | None = None
    parts: "list[TokenizerConfig] | None" = None
    separator: str | None = None
    count: int | None = setting(None, low=2)

    def __post_init__(self):
        super().__post_init__()
        self._check_parts()
        self._check_file()
        subwords = self.kind in ("sentencepiece", "wordpiece")
        if subwords and self.size is None and self.file is None:
            self.fail("size", f"expected an integer of at least 5 for {self.kind}, came None")
        self._check_special_tokens()
        self._check_sampling()

    @property
    def is_sampled(self):
        """Whether texts are cut another way each time, by itself or by one of its parts."""
        return self.sampling is not None or any(part.is_sampled for part in self.parts or ())

    def _check_parts(self):
        if self.kind not in COMPOSITES:
            for key in ("parts", "separator", "count"):
                if getattr(self, key) is not None:
                    only = "expected none but for factors and sources"
                    self.fail(key, f"{only}, came {getattr(self, key)!r}")
            return
        for key in ("shared", "file", "special_tokens", "sampling"):
            if getattr(self, key):
                self.fail(key, f"expected none for {self.kind}, whose parts have their own")
        parts = self.parts or []
        if any(part.kind in COMPOSITES for part in parts):
            self.fail("parts", f"expected none of {' and '.join(COMPOSITES)} in another")
        if self.separator is None:
            object.__setattr__(self, "separator", SEPARATORS[self.kind])
        if self.kind == "factors":
            self._check_factors(parts)
        elif len(parts) != 1 if self.count else len(parts) < 2:
            expected = "expected a tokenizer for each of two sources or more, or one and a count"
            self.fail("parts", f"{expected}, came {len(parts)}")
        if not self.separator:
            self.fail("separator", "expected some text, came ''")

    def _check_factors(self, parts):
        if len(parts) < 2 or any(part.kind not in ("whitespace", "words") for part in parts):
            came = ", ".join(part.kind for part in parts) or "none"
            expected = "expected two or more of kind whitespace or words for factors"
            self.fail("parts", f"{expected}, came {came}")
        if self.count is not None:
            self.fail("count", f"expected none for factors, came {self.count}")
        if self.separator.split() != [self.separator]:
            came = f"came {self.separator!r}"
            self.fail("separator", f"expected text without white space for factors, {came}")

    def _check_file(self):
        if self.kind == "words" and self.file is None:
            self.fail("file", "expected a vocabulary file for words, came none")
        if self.file is None:
            return
        if self.kind == "bytes":
            self.fail("file", f"expected none for bytes, came {self.file!r}")
        if self.size not in (None, SIZE):
            whole = "expected none beside a file, which is taken whole"
            self.fail("size", f"{whole}, came {self.size}")
        object.__setattr__(self, "size", None)

    def _check_special_tokens(self):
        expected = "expected distinct texts without white space, none of <pad>, <unk>, <s> and </s>"
        seen = {"<pad>", "<unk>", "<s>", "</s>"}
        for token in self.special_tokens:
            if not isinstance(token, str) or token.split() != [token] or token in seen:
                self.fail("special_tokens", f"{expected}, came {token!r}")
            seen.add(token)

    def _check_sampling(self):
        if self.sampling is None:
            return
        if self.kind != "sentencepiece":
            self.fail("sampling", f"expected none for {self.kind}, came {self.sampling}")
        wanted = "dropout" if self.model == "bpe" else "alpha"
        if self.file is None and getattr(self.sampling, wanted) is None:
            self.fail("sampling", f"expected {wanted} for model {self.model}, came none")


def check_composites(data) -> None:
    """Refuses factors and several sources where the section `data` cannot have them."""
    for name in ("tokenizer", "target_tokenizer"):
        own = getattr(data, name)
        if own is not None and own.kind in COMPOSITES:
            data.fail(name, f"expected {own.kind} for source_tokenizer alone, came it here")
    own = data.source_tokenizer
    if own is None or own.kind != "sources":
        return
    if data.noise != type(data.noise)():
        data.fail("noise", "expected none beside several sources, which words would change")
    for corpus in [*(data.train if isinstance(data.train, list) else [data.train]), data.valid]:
        pairs = corpus.pairs.removesuffix(".gz") if corpus and corpus.pairs else ""
        if pairs and not pairs.endswith(".jsonl") and "\t" in own.separator:
            expected = "expected another separator than the tab beside pairs set apart by tabs"
            data.fail("source_tokenizer", f"{expected}, came {corpus.pairs}")
