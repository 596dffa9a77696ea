"""A run directory: its tokenizers, its config.yml, and whether a configuration belongs to it."""

import itertools
import sys
from pathlib import Path

from keras_s2s import checkpoints, tokenizers
from keras_s2s.config import Config, UserError
from keras_s2s.data import read_side

__all__ = ["adopt", "check_same", "train_tokenizers"]

# Chosen by `defaults.complete`; a resumed run keeps its own choice when they are left out.
CHOSEN = ("policy", "learning_rate", "schedule", "warmup", "optimizer_options", "metric", "scores")


def train_tokenizers(config: Config, run_dir, say=None):
    """The tokenizers of a run, trained on `data.train` where RUN/tokenizers is not there yet.

    Args:
        config: whose `data` says how.
        run_dir: the run directory; made when missing.
        say: takes a line for the user; by default lines go to `sys.stderr`.

    Returns:
        (source, target), one object when they are shared.

    Raises:
        UserError: no training corpus, what is wrong with it, or damaged tokenizers.
    """
    directory, say = Path(run_dir) / "tokenizers", say or _to_stderr
    # target.json is written last: without it the directory is what an interruption left
    if (directory / "target.json").is_file():
        source, target = tokenizers.load_pair(directory)
        say(f"tokenizers: {_describe(source, target)}, from {directory}")
        return source, target
    source, target = _train(config, training_corpus(config))
    directory.mkdir(parents=True, exist_ok=True)
    tokenizers.save_pair(directory, source, target)
    say(f"tokenizers: {_describe(source, target)}, trained")
    return source, target


def training_corpus(config: Config):
    """`data.train`, or the error that it is missing."""
    if config.data.train is None:
        raise UserError("data.train: expected source and target, or pairs, came nothing")
    return config.data.train


def _train(config, corpus):
    ours, theirs = config.data.tokenizers()
    sources, targets = read_side(corpus, "source"), read_side(corpus, "target")
    if ours.shared:
        both = _trained("data.tokenizer", ours, itertools.chain(sources, targets))
        return both, both
    own = [name if getattr(config.data, name) else "tokenizer"
           for name in ("source_tokenizer", "target_tokenizer")]  # fmt: skip
    return _trained(f"data.{own[0]}", ours, sources), _trained(f"data.{own[1]}", theirs, targets)


def _trained(key, config, lines):
    try:
        return tokenizers.train(config, lines)
    except UserError as error:
        named = str(error).startswith(("size:", "kind:", "expected"))
        raise UserError(f"{key}.{error}" if named else str(error)) from None


def _to_stderr(text):
    sys.stderr.write(text + "\n")


def _describe(source, target):
    if source is target:
        return f"{source.kind} {source.size:,} shared"
    return f"source {source.kind} {source.size:,}, target {target.kind} {target.size:,}"


def adopt(config: Config, run_dir) -> Config:
    """The configuration with what it leaves out taken from the run's own config.yml.

    A run without a checkpoint lends nothing: it starts from the beginning.
    """
    run_dir = Path(run_dir)
    if not checkpoints.exists(run_dir / "last") or not (run_dir / "config.yml").is_file():
        return config
    stored = Config.load(run_dir / "config.yml").training
    raw = config.to_dict()
    for name in CHOSEN:
        if raw["training"][name] in (None, {}):
            raw["training"][name] = getattr(stored, name)
    return Config.from_dict(raw)


def check_same(config: Config, run_dir) -> None:
    """Refuses a complete configuration whose tokenizers or model are not the run's.

    Raises:
        UserError: naming the key, the run's value and the one that came.
    """
    path = Path(run_dir) / "config.yml"
    if not path.is_file():
        return
    stored = Config.load(path)
    old, new = _tokenizing(stored), _tokenizing(config)
    if checkpoints.exists(Path(run_dir) / "last"):
        old |= {"model": stored.to_dict()["model"], "training.optimizer": stored.training.optimizer}
        new |= {"model": config.to_dict()["model"], "training.optimizer": config.training.optimizer}
    for key, was, came in _differences(old, new):
        problem = f"{key} is {was!r} in this run, came {came!r}"
        raise UserError(f"{path}: {problem}; expected the same, or another run directory")


def _tokenizing(config):
    source, target = config.data.tokenizers()
    if source.shared:
        return {"data.tokenizer": vars(source)}
    return {"data.source_tokenizer": vars(source), "data.target_tokenizer": vars(target)}


def _differences(old, new, path=""):
    for key in dict.fromkeys([*old, *new]):
        was, came, dotted = old.get(key), new.get(key), f"{path}{key}"
        if isinstance(was, dict) and isinstance(came, dict):
            yield from _differences(was, came, f"{dotted}.")
        elif was != came:
            yield dotted, was, came
