"""The section of a tokenizer."""

from dataclasses import dataclass, field

from keras_s2s.config.subword_sampling import SubwordSampling
from keras_s2s.config.validation import Section, setting

__all__ = ["TokenizerConfig"]

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
SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")


@dataclass(frozen=True)
class TokenizerConfig(Section):
    """The tokenizer of one side.

    Two kinds serve sources only and consist of other tokenizers, their `parts`. `factors` reads
    tokens such as `word|NN`: one part for the word and one for each factor, of kind `whitespace`
    or `words`. `sources` reads several texts from one line: a part for each text, or one part and
    a `count`.

    Args:
        kind: `sentencepiece`, `wordpiece`, `words`, `whitespace`, `characters`, `bytes`, `factors`
            or `sources`.
        model: of `sentencepiece`, `unigram` or `bpe`.
        size: maximum number of vocabulary entries, special ids included. None means all there are;
            subword kinds need a number, `bytes` ignores it.
        shared: whether one tokenizer, trained on both sides, serves both.
        file: an existing vocabulary to use in place of one trained on the corpus: a SentencePiece
            `.model`, or a file with one token per line. `words` needs one.
        special_tokens: texts such as `<2de>` that are never split; each is one token wherever it
            occurs.
        sampling: subword regularization, for `sentencepiece` only.
        parts: of `factors` and `sources`, the tokenizers they consist of.
        separator: the text between parts; U+FFE8, as in OpenNMT, for `factors` and a tab for
            `sources` when left out.
        count: of `sources`, the number of texts that share a single part.

    Example:

    >>> from keras_s2s.config import TokenizerConfig
    >>> TokenizerConfig(kind="characters", size=None, shared=True).is_composite
    False
    """

    kind: str = setting("sentencepiece", choices=TOKENIZERS)
    model: str = setting("unigram", choices=("unigram", "bpe"))
    size: int | None = setting(SIZE, low=5)
    shared: bool = False
    file: str | None = setting(None, is_path=True)
    special_tokens: list = field(default_factory=list)
    sampling: SubwordSampling | None = None
    parts: "list[TokenizerConfig] | None" = None
    separator: str | None = None
    count: int | None = setting(None, low=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_composite:
            self._check_composite()
        else:
            self._check_plain()
        self._check_file()
        if self.kind in ("sentencepiece", "wordpiece") and self.size is None and self.file is None:
            self.fail("size", f"expected an integer of at least 5 for {self.kind}, got None")
        self._check_special_tokens()
        self._check_sampling()

    @property
    def is_composite(self) -> bool:
        """Whether the tokenizer consists of others."""
        return self.kind in COMPOSITES

    @property
    def is_sampled(self) -> bool:
        """Whether the tokenizer, or one of its parts, draws a segmentation for every reading."""
        return self.sampling is not None or any(part.is_sampled for part in self.parts or ())

    def _check_plain(self) -> None:
        for key in ("parts", "separator", "count"):
            if getattr(self, key) is not None:
                expected = "expected none except for factors and sources"
                self.fail(key, f"{expected}, got {getattr(self, key)!r}")

    def _check_composite(self) -> None:
        for key in ("shared", "file", "special_tokens", "sampling"):
            if getattr(self, key):
                self.fail(key, f"expected none for {self.kind}; set it in its parts")
        parts = self.parts or []
        if any(part.is_composite for part in parts):
            self.fail("parts", f"expected none of {' and '.join(COMPOSITES)} in another")
        if self.separator is None:
            object.__setattr__(self, "separator", SEPARATORS[self.kind])
        if self.kind == "factors":
            self._check_factors(parts)
        elif len(parts) != 1 if self.count else len(parts) < 2:
            expected = "expected a tokenizer for each of two sources or more, or one and a count"
            self.fail("parts", f"{expected}, got {len(parts)}")
        if not self.separator:
            self.fail("separator", "expected some text, got ''")

    def _check_factors(self, parts: "list[TokenizerConfig]") -> None:
        if len(parts) < 2 or any(part.kind not in ("whitespace", "words") for part in parts):
            kinds = ", ".join(part.kind for part in parts) or "none"
            expected = "expected two or more of kind whitespace or words for factors"
            self.fail("parts", f"{expected}, got {kinds}")
        if self.count is not None:
            self.fail("count", f"expected none for factors, got {self.count}")
        if (self.separator or "").split() != [self.separator]:
            expected = "expected text without white space for factors"
            self.fail("separator", f"{expected}, got {self.separator!r}")

    def _check_file(self) -> None:
        if self.kind == "words" and self.file is None:
            self.fail("file", "expected a vocabulary file for words, got none")
        if self.file is None:
            return
        if self.kind == "bytes":
            self.fail("file", f"expected none for bytes, got {self.file!r}")
        if self.size not in (None, SIZE):
            self.fail("size", f"expected none beside a file, which is used whole, got {self.size}")
        object.__setattr__(self, "size", None)

    def _check_special_tokens(self) -> None:
        *names, last = SPECIAL_TOKENS
        expected = "expected distinct texts without white space, none of "
        expected += f"{', '.join(names)} and {last}"
        seen = set(SPECIAL_TOKENS)
        for token in self.special_tokens:
            if not isinstance(token, str) or token.split() != [token] or token in seen:
                self.fail("special_tokens", f"{expected}, got {token!r}")
            seen.add(token)

    def _check_sampling(self) -> None:
        if self.sampling is None:
            return
        if self.kind != "sentencepiece":
            self.fail("sampling", f"expected none for {self.kind}, got {self.sampling}")
        parameter = "dropout" if self.model == "bpe" else "alpha"
        if self.file is None and getattr(self.sampling, parameter) is None:
            self.fail("sampling", f"expected {parameter} for model {self.model}, got none")
