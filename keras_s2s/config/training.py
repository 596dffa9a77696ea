"""The section `training`: optimization, validation and checkpoints."""

from dataclasses import dataclass, field

from keras_s2s.config.objectives import Objectives
from keras_s2s.config.tensorboard import TensorBoard
from keras_s2s.config.validation import Section, setting

__all__ = ["Training"]

MAX_SEED = 2**32 - 1  # of NumPy's generator, which Keras seeds too
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
FEATURE_METRICS = ("mae", "rmse")
MODEL_METRICS = ("loss", "accuracy", "perplexity", *FEATURE_METRICS)
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


@dataclass(frozen=True)
class Training(Section):
    """Optimization, validation and checkpoints. Durations are counted in updates of the weights.

    None means "left out": `training.complete` chooses a value by the model and the corpus.

    Args:
        policy: Keras dtype policy.
        optimizer: name of a Keras optimizer.
        optimizer_options: further arguments of its class.
        learning_rate: the peak of the schedule.
        schedule: name of a schedule, see `keras_s2s.schedules`.
        warmup: updates of the linear warmup.
        updates: updates of the whole run.
        accumulate: batches whose gradients make one update, as if they were one batch.
        ema: decay of an exponential moving average of the weights, which validations and best/
            use.
        freeze: weights or parts that are not trained, see `checkpoints.match_weights`.
        init_from: a run or checkpoint whose weights a new run starts from.
        source_embeddings, target_embeddings: files of word vectors in the text format of word2vec
            or GloVe, plain or compressed.
        on_nan: action on an update whose loss or gradients are not finite: `stop` training, `skip`
            the update, or `roll_back` to the last checkpoint and continue after the update
            (roll_back also recovers from divergence).
        label_smoothing: label smoothing of the cross-entropy.
        objectives: weights of the training objectives.
        clip_norm: bound of the global gradient norm, None or 0 for none.
        seed: seed of initialization, dropout and data order.
        validate_every: updates between two validations.
        checkpoint_every: updates between two checkpoints that are saved between validations.
        keep: number of checkpoints to keep under checkpoints/, for averaging.
        validate_lines: number of validation pairs to decode for `scores`; None for all, 0 for
            none.
        samples: number of decoded pairs to print.
        scores: text metrics of a validation.
        metric: the metric that decides which checkpoint is the best.
        patience: validations without a better one before training stops, None for no limit.
        tensorboard: what TensorBoard shows in addition to the curves.

    Example:

    >>> from keras_s2s.config import Training
    >>> Training(updates=800).clip_norm
    1.0
    """

    policy: str | None = setting(None, choices=POLICIES)
    optimizer: str = setting("adam", choices=OPTIMIZERS)
    optimizer_options: dict = field(default_factory=dict)
    learning_rate: float | None = setting(None, above=0.0)
    schedule: str | None = setting(None, choices=SCHEDULES)
    warmup: int | None = setting(None, low=0)
    updates: int = setting(10000, low=1)
    accumulate: int = setting(1, low=1)
    ema: float | None = setting(None, above=0.0, below=1.0)
    freeze: list | None = None
    init_from: str | None = setting(None, is_path=True)
    source_embeddings: str | None = setting(None, is_path=True)
    target_embeddings: str | None = setting(None, is_path=True)
    on_nan: str = setting("stop", choices=("stop", "skip", "roll_back"))
    label_smoothing: float = setting(0.1, low=0.0, below=1.0)
    objectives: Objectives = field(default_factory=Objectives)
    clip_norm: float | None = setting(1.0, low=0.0)
    seed: int = setting(1, low=0, high=MAX_SEED)
    validate_every: int = setting(500, low=1)
    checkpoint_every: int | None = setting(None, low=1)
    keep: int = setting(0, low=0)
    validate_lines: int | None = setting(1000, low=0)
    samples: int = setting(3, low=0)
    scores: list | None = setting(None, choices=TEXT_METRICS)
    metric: str | None = setting(None, choices=MODEL_METRICS + TEXT_METRICS)
    patience: int | None = setting(None, low=1)
    tensorboard: TensorBoard = field(default_factory=TensorBoard)
