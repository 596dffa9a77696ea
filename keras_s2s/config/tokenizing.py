"""The section about tokenizers: how text is cut into pieces."""

from dataclasses import dataclass, field

from keras_s2s.config.checks import Section, setting

__all__ = ["Sampling", "TokenizerConfig"]

TOKENIZERS = ("sentencepiece", "wordpiece", "words", "whitespace", "characters", "bytes")
SIZE = 8000


@dataclass(frozen=True)
class Sampling(Section):
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
            self.refuse("", f"expected alpha (unigram) or dropout (bpe), came {came}")
        if self.nbest in (0, 1) or self.nbest > 512:
            self.refuse("nbest", f"expected -1 or an integer from 2 to 512, came {self.nbest}")


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
    """

    kind: str = setting("sentencepiece", among=TOKENIZERS)
    model: str = setting("unigram", among=("unigram", "bpe"))
    size: int | None = setting(SIZE, low=5)
    shared: bool = False
    file: str | None = None
    special_tokens: list = field(default_factory=list)
    sampling: Sampling | None = None

    def __post_init__(self):
        super().__post_init__()
        self._check_file()
        subwords = self.kind in ("sentencepiece", "wordpiece")
        if subwords and self.size is None and self.file is None:
            self.refuse("size", f"expected an integer of at least 5 for {self.kind}, came None")
        self._check_special_tokens()
        self._check_sampling()

    def _check_file(self):
        if self.kind == "words" and self.file is None:
            self.refuse("file", "expected a vocabulary file for words, came none")
        if self.file is None:
            return
        if self.kind == "bytes":
            self.refuse("file", f"expected none for bytes, came {self.file!r}")
        if self.size not in (None, SIZE):
            whole = "expected none beside a file, which is taken whole"
            self.refuse("size", f"{whole}, came {self.size}")
        object.__setattr__(self, "size", None)

    def _check_special_tokens(self):
        expected = "expected distinct texts without white space, none of <pad>, <unk>, <s> and </s>"
        seen = {"<pad>", "<unk>", "<s>", "</s>"}
        for token in self.special_tokens:
            if not isinstance(token, str) or token.split() != [token] or token in seen:
                self.refuse("special_tokens", f"{expected}, came {token!r}")
            seen.add(token)

    def _check_sampling(self):
        if self.sampling is None:
            return
        if self.kind != "sentencepiece":
            self.refuse("sampling", f"expected none for {self.kind}, came {self.sampling}")
        wanted = "dropout" if self.model == "bpe" else "alpha"
        if self.file is None and getattr(self.sampling, wanted) is None:
            self.refuse("sampling", f"expected {wanted} for model {self.model}, came none")
