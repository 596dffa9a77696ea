"""The sections of the configuration file, one frozen dataclass each.

A value of None means "left out": training derives it from the model and the corpus and writes
what it chose.
"""

import dataclasses
import typing
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from keras_s2s.config.formats import is_frames
from keras_s2s.config.noise import Noise
from keras_s2s.config.objectives import Objectives
from keras_s2s.config.parsing import parse
from keras_s2s.config.tensorboard import TensorBoard
from keras_s2s.config.tokenizer import TokenizerConfig, check_composites
from keras_s2s.config.validation import Section, setting
from keras_s2s.config.yaml_files import apply_override, read_yaml
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically
from keras_s2s.signatures.caps import CAPS, MAX_PENALTY

__all__ = [
    "Config",
    "Corpus",
    "Data",
    "Decoding",
    "Export",
    "ModelConfig",
    "SpecialIds",
    "Training",
]

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
OPTIMIZERS = (
    "adam",
    "adamw",
    "nadam",
    "adamax",
    "adafactor",
    "adagrad",
    "adadelta",
    "rmsprop",
    "sgd",
    "lion",
    "lamb",
)
SCHEDULES = ("constant", "inverse_sqrt", "noam", "cosine", "exponential")
FRAME_METRICS = ("mae", "rmse")
MODEL_METRICS = ("loss", "accuracy", "perplexity", *FRAME_METRICS)
TEXT_METRICS = (
    "bleu",
    "chrf",
    "ter",
    "rouge1",
    "rouge2",
    "rougeL",
    "wer",
    "per",
    "cer",
    "exact",
)


class SpecialIds(typing.NamedTuple):
    """The ids with a meaning of their own, the same in every vocabulary trained here."""

    pad: int = 0
    unknown: int = 1
    start: int = 2
    end: int = 3


@dataclass(frozen=True)
class Corpus(Section):
    """Pairs of texts: two aligned files, or one file of pairs.

    A file of pairs has lines of `source<TAB>target`, with `<TAB>weight` where a pair has one, or,
    when its name ends in `.jsonl`, objects with the keys source, target and perhaps weight.
    `weights` is a file aligned with the two, one number a line. A pair's weight, 1 unless given,
    multiplies its loss. `alignments` is another one, of word alignments such as `0-0 1-2` (Pharaoh:
    source and target word, from 0, words being set apart by white space), for
    `training.objectives.guided_alignment`. Files are UTF-8, plain or `.gz`; relative paths start at
    the working directory, others (gs://, s3://, ...) are read by TensorFlow.

    A source or target that ends in `.npz`, `.tfrecord` or `.tfrecords` holds sequences of real
    vectors, an example for each line of the other side (see `keras_s2s.data.frames`).

    `weight` is how many times an epoch goes through the corpus: 2 shows every pair twice, 0.5
    every pair in one of two epochs.
    """

    source: str | None = None
    target: str | None = None
    pairs: str | None = None
    weights: str | None = None
    alignments: str | None = None
    weight: float = setting(1.0, low=0.001)

    def __post_init__(self):
        super().__post_init__()
        aligned = self.source is not None and self.target is not None
        either = self.source is not None or self.target is not None
        if (self.pairs is None) != aligned or (self.pairs is not None and either):
            names = ("source", "target", "pairs")
            came = {k: getattr(self, k) for k in names if getattr(self, k) is not None}
            self.fail(
                "",
                f"expected source and target, or pairs alone, came {came or 'nothing'}",
            )
        for beside in ("weights", "alignments"):
            if self.pairs is not None and getattr(self, beside) is not None:
                self.fail(beside, "expected source and target beside it, came pairs")

    def frames(self) -> tuple[bool, bool]:
        """Whether the source and the target are frames, by the names of their files."""
        return is_frames(self.source), is_frames(self.target)


@dataclass(frozen=True)
class Data(Section):
    """Corpora, tokenizers and batches.

    `tokenizer` serves both sides; `source_tokenizer` and `target_tokenizer` take its place for
    one. `batch_tokens` counts the longer side, padding included; `auto` tries some sizes and takes
    the fastest within `memory_limit` GB (None: four fifths of what is free). A pair with more than
    `max_length` pieces on a side is skipped. From `train`, pairs are skipped too that have fewer
    than `min_length` pieces on a side, more than `max_ratio` pieces on one for each of the other,
    or with `unique`, that stood before. `cache` is a directory for the tokenised examples. `noise`
    is done to the sources of `train`.
    """

    train: Corpus | list[Corpus] | None = None
    valid: Corpus | None = None
    tokenizer: TokenizerConfig | None = None
    source_tokenizer: TokenizerConfig | None = None
    target_tokenizer: TokenizerConfig | None = None
    batch_tokens: int | typing.Literal["auto"] = setting(4096, low=1)
    max_length: int = setting(100, low=1)
    min_length: int = setting(1, low=1)
    max_ratio: float | None = setting(None, low=1.0)
    unique: bool = False
    cache: str | None = None
    noise: Noise = field(default_factory=Noise)
    memory_limit: float | None = setting(None, above=0.0)

    def __post_init__(self):
        super().__post_init__()
        if self.min_length > self.max_length:
            most = f"expected at most max_length, {self.max_length}"
            self.fail("min_length", f"{most}, came {self.min_length}")
        for side in ("source_tokenizer", "target_tokenizer"):
            own = getattr(self, side)
            if own is not None and (own.shared or (self.tokenizer and self.tokenizer.shared)):
                self.fail(side, "expected tokenizer alone where shared is true, came both")
        self._check_frames()
        if self.cache is not None and any(side.is_sampled for side in self.tokenizers()):
            self.fail("cache", "expected none beside sampling, which cuts texts anew each time")
        self._check_noise()
        check_composites(self)

    def _check_noise(self):
        every = self.train if isinstance(self.train, list) else [self.train]
        aligned = any(corpus is not None and corpus.alignments for corpus in every)
        if self.noise.changes_word_order and aligned:
            expected = "expected no drop and no permute beside alignments, which words must stay in"
            self.fail("noise", f"{expected}, came {self.noise}")
        for reason, came in (("noise", self.noise != Noise()), ("alignments", aligned)):
            if self.cache is not None and came:
                self.fail("cache", f"expected none beside {reason}, came {self.cache!r}")

    def frames(self) -> tuple[bool, bool]:
        """Whether the source and the target are frames, as the files of `train` say."""
        corpora = self.train if isinstance(self.train, list) else [self.train]
        return corpora[0].frames() if corpora and corpora[0] is not None else (False, False)

    def filters(self) -> dict:
        """What `survey` leaves out of `train` beside pairs that are empty or too long."""
        return {key: getattr(self, key) for key in ("min_length", "max_ratio", "unique")}

    def tokenizers(self) -> tuple[TokenizerConfig, TokenizerConfig]:
        """The configuration of the source's and of the target's tokenizer."""
        both = self.tokenizer or TokenizerConfig()
        return self.source_tokenizer or both, self.target_tokenizer or both

    def _check_frames(self):
        frames = self.frames()
        more = self.train[1:] if isinstance(self.train, list) else []
        for name, one in [*(("train", one) for one in more), ("valid", self.valid)]:
            if one is not None and one.frames() != frames:
                expected = "expected the same sides to be frames (.npz, .tfrecord) as in train"
                self.fail(name, f"{expected}, came {one.source or one.pairs}, {one.target}")
        if not any(frames):
            return
        for name, framed in zip(("source_tokenizer", "target_tokenizer"), frames, strict=True):
            if framed and getattr(self, name) is not None:
                self.fail(name, "expected none for a side of frames, came one")
        if self.tokenizer is not None and self.tokenizer.shared:
            self.fail("tokenizer", "expected shared: false beside a side of frames, came true")
        if self.cache is not None:
            self.fail("cache", f"expected none beside a side of frames, came {self.cache!r}")


@dataclass(frozen=True)
class ModelConfig(Section):
    """A preset of the catalogue and what differs from it, or the parts themselves.

    `encoder`, `decoder` and `head` hold `kind:` and that class's arguments; the catalogue checks
    them. `embedding` is a width, `tie` shares the target's embedding with the output layer.
    `source` and `target` are for sides of frames: `norm` (true: each projected frame is
    normalised) and, of a target, `first` (what is read before the first frame: zeros, or source:
    the source's last frame). Of factors, `source` says `combine` (concat or sum) and `widths`.
    """

    preset: str | None = None
    dropout: float | None = setting(None, low=0.0, below=1.0)
    embedding: int | None = setting(None, low=1)
    source: dict = field(default_factory=dict)
    target: dict = field(default_factory=dict)
    tie: bool | str | None = None
    encoder: dict = field(default_factory=dict)
    decoder: dict = field(default_factory=dict)
    head: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Training(Section):
    """Everything `fit` needs. Lengths of time are counted in updates of the weights.

    A validation happens every `validate_every` updates; it decodes at most `validate_lines` lines
    (None: all, 0: none) for `scores`, shows the first `samples` of them, and `metric` decides
    which checkpoint is the best.
    `checkpoint_every` saves between validations too.
    `accumulate` batches make one update, as if they were one. `on_nan` says what an update whose
    loss or gradients are not finite does: stop training, be left out (skip), or put the last
    checkpoint back and go on behind it (roll_back, which mends diverged training too).

    `ema` is the share of the old in a running mean of the weights, which is what validations and
    best/ use. `freeze` lists weights or parts that stay as they are (see `checkpoints.pick`).
    `init_from` is a run or checkpoint to begin with, `source_embeddings` and `target_embeddings`
    are files of vectors (word2vec's or GloVe's text, also .gz). `keep` is how many of the latest
    checkpoints stay, under checkpoints/, to be averaged.
    `patience` validations without a better one end training (None: never). `clip_norm` bounds the
    norm of all gradients together (None or 0: off). `optimizer_options` go to the Keras class.
    `objectives` says what is minimised.
    """

    policy: str | None = setting(None, among=POLICIES)
    optimizer: str = setting("adam", among=OPTIMIZERS)
    optimizer_options: dict = field(default_factory=dict)
    learning_rate: float | None = setting(None, above=0.0)
    schedule: str | None = setting(None, among=SCHEDULES)
    warmup: int | None = setting(None, low=0)
    updates: int = setting(10000, low=1)
    accumulate: int = setting(1, low=1)
    ema: float | None = setting(None, above=0.0, below=1.0)
    freeze: list | None = None
    init_from: str | None = None
    source_embeddings: str | None = None
    target_embeddings: str | None = None
    on_nan: str = setting("stop", among=("stop", "skip", "roll_back"))
    label_smoothing: float = setting(0.1, low=0.0, below=1.0)
    objectives: Objectives = field(default_factory=Objectives)
    clip_norm: float | None = setting(1.0, low=0.0)
    seed: int = setting(1, low=0)
    validate_every: int = setting(500, low=1)
    checkpoint_every: int | None = setting(None, low=1)
    keep: int = setting(0, low=0)
    validate_lines: int | None = setting(1000, low=0)
    samples: int = setting(3, low=0)
    scores: list | None = field(default=None, metadata={"among": TEXT_METRICS})
    metric: str | None = setting(None, among=MODEL_METRICS + TEXT_METRICS)
    patience: int | None = setting(None, low=1)
    tensorboard: TensorBoard = field(default_factory=TensorBoard)


@dataclass(frozen=True)
class Decoding(Section):
    """Defaults of search, in Python and in the served model alike (see `signatures.TRANSLATE`).

    `steps` is how many frames a forecast has; left out, as many as the longest of the corpus.
    """

    beam_size: int = setting(5, low=1)
    num_hypotheses: int = setting(1, low=1)
    length_penalty: float = setting(0.6, low=-MAX_PENALTY, high=MAX_PENALTY)
    length_offset: float = setting(5.0, low=0.0, high=1000.0)
    coverage_penalty: float = setting(0.0, low=0.0, high=MAX_PENALTY)
    min_length: int = setting(0, low=0)
    min_length_ratio: float = setting(0.0, low=0.0, high=100.0)
    max_length: int = setting(256, low=1)
    max_length_ratio: float = setting(0.0, low=0.0, high=100.0)
    no_repeat_ngram: int = setting(0, low=0, high=CAPS["no_repeat_ngram"])
    repetition_penalty: float = setting(1.0, low=0.01, high=100.0)
    disallowed: list | None = None
    beam_groups: int = setting(1, low=1)
    diversity_penalty: float = setting(0.0, low=0.0, high=100.0)
    replace_unknown: bool = False
    steps: int | None = setting(None, low=1)
    dictionary: str | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.num_hypotheses > self.beam_size:
            most = f"expected at most beam_size, {self.beam_size}"
            self.fail("num_hypotheses", f"{most}, came {self.num_hypotheses}")
        if self.beam_size % self.beam_groups:
            expected = f"expected a divisor of beam_size, {self.beam_size}"
            self.fail("beam_groups", f"{expected}, came {self.beam_groups}")
        for text in self.disallowed or ():
            if not isinstance(text, str) or not text or "\n" in text:
                expected = "expected a list of texts without line feeds"
                self.fail("disallowed", f"{expected}, came {text!r}")

    def default(self, name: str, otherwise):
        """The value of an option of a served signature; `otherwise` where no run sets it."""
        value = getattr(self, name, None)
        value = otherwise if value is None else value
        return "\n".join(value or ()) if name == "disallowed" else value

    def needs_alignment(self) -> bool:
        """Whether a search under these options has to know where the model looks."""
        return self.replace_unknown or self.coverage_penalty > 0

    def needs_extras(self) -> bool:
        """Whether they ask for more than the plain beam looks at."""
        return bool(
            self.coverage_penalty
            or self.no_repeat_ngram
            or self.repetition_penalty != 1
            or self.disallowed
            or self.beam_groups > 1
        )


@dataclass(frozen=True)
class Export(Section):
    """When training publishes a served model (best, end or never), how many it keeps, and the
    largest beam and length that a request to it may ask for."""

    when: str = setting("best", among=("best", "end", "never"))
    keep: int = setting(3, low=1)
    max_beam_size: int = setting(CAPS["beam_size"], low=1, high=64)
    max_length: int = setting(CAPS["max_length"], low=1, high=8192)

    def caps(self) -> dict:
        """What these set of `keras_s2s.signatures.CAPS`."""
        return {"beam_size": self.max_beam_size, "max_length": self.max_length}


@dataclass(frozen=True)
class Config(Section):
    """The whole configuration file, one field a section."""

    data: Data = field(default_factory=Data)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: Training = field(default_factory=Training)
    decoding: Decoding = field(default_factory=Decoding)
    export: Export = field(default_factory=Export)

    def __post_init__(self):
        super().__post_init__()
        self._check_objectives()
        for name, cap in self.export.caps().items():
            if getattr(self.decoding, name) > cap:
                came = getattr(self.decoding, name)
                key = "max_beam_size" if name == "beam_size" else name
                self.decoding.fail(name, f"expected at most export.{key}, {cap}, came {came}")

    def _check_objectives(self):
        train = self.data.train
        every = train if isinstance(train, list) else [train]
        aligned = any(corpus is not None and corpus.alignments for corpus in every)
        if self.training.objectives.guided_alignment and train is not None and not aligned:
            expected = "expected a corpus of data.train with alignments"
            self.fail("training.objectives.guided_alignment", f"{expected}, came none")

    @classmethod
    def load(cls, path, overrides=()) -> "Config":
        """Reads a YAML file, then sets each `section.key=value` (value read as YAML).

        Raises:
            UserError: naming the file and line, or the override, the key, what was expected and
                what came; for an unknown key the nearest real one.
        """
        raw, places = read_yaml(path)
        for text in overrides:
            apply_override(raw, places, text)
        return parse(cls, raw, places)

    @classmethod
    def from_run(cls, run) -> "Config":
        """Reads the `config.yml` of a run directory.

        Raises:
            UserError: as `load`; or this is no run directory.
        """
        run = Path(run)
        path = run / "config.yml"
        if not path.exists():
            came = "a file" if run.is_file() else "nothing of that name"
            came = "a folder without config.yml" if run.is_dir() else came
            expected = "expected a run directory, made by keras-s2s train"
            raise UserError(f"{run}: {expected}, came {came}")
        return cls.load(path)

    @classmethod
    def from_dict(cls, raw: dict) -> "Config":
        """The inverse of `to_dict`; keys left out take their defaults."""
        return parse(cls, raw, {})

    def to_dict(self) -> dict:
        """Every key with its value, as plain nested dictionaries."""
        return dataclasses.asdict(self)

    def save(self, path) -> None:
        """Writes every key to a YAML file; an interrupted write leaves the old file."""
        text = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=100)
        write_atomically(path, text)
