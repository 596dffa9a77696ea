"""A run directory: its tokenizers, its config.yml, and whether a configuration belongs to it."""

import itertools
import json
import sys
import zlib
from dataclasses import asdict
from pathlib import Path

import yaml

from keras_s2s import checkpoints, models, tokenizers
from keras_s2s.config import Config, ModelConfig
from keras_s2s.data import feature_size, read_pairs, read_side
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically

__all__ = [
    "check_corpora",
    "check_run_config",
    "config_differences",
    "corpus_fingerprint",
    "merge_run_config",
    "train_tokenizers",
    "training_corpus",
    "write_to_stderr",
]

# Chosen by `defaults.complete`; a resumed run keeps its own choice when they are left out.
CHOSEN = ("policy", "learning_rate", "schedule", "warmup", "optimizer_options", "metric", "scores")
MADE_WITH = "made_with.yml"  # in RUN/tokenizers: the settings they were made with
# What the variables of an optimizer depend on.
LASTING = ("optimizer", "ema", "freeze", "policy")
SCALED = "mixed_float16"
# `_tokenizing` and `check_corpora` look at the first ones; the others may change.
CHECKED_ELSEWHERE = (
    "train",
    "valid",
    "tokenizer",
    "source_tokenizer",
    "target_tokenizer",
    "batch_tokens",
    "cache",
    "memory_limit",
)


def train_tokenizers(config: Config, run_dir, say=None, *, write: bool = True):
    """The tokenizers of a run, trained on `data.train` where RUN/tokenizers is not there yet.

    Until the first checkpoint other settings replace them; after it they are refused.

    Args:
        config: whose `data` says how.
        run_dir: the run directory; made when missing.
        say: takes a line for the user; by default lines go to `sys.stderr`.
        write: whether to keep them.

    Returns:
        (source, target), one object when they are shared.

    Raises:
        UserError: no training corpus, what is wrong with it, or damaged tokenizers.
    """
    corpus, say = training_corpus(config), say or write_to_stderr
    directory = Path(run_dir) / "tokenizers"
    if _are_made(config, run_dir, directory):
        source, target = tokenizers.load_pair(directory)
        say(f"tokenizers: {_describe(source, target)}, from {directory}")
        return source, target
    for either in filter(None, (corpus, config.data.valid)):
        for _ in read_pairs(either):  # pieces of lines that are no pairs would stay in the run
            pass
    source, target = _train(config, corpus)
    if _points(config):
        target = tokenizers.Pointers(source)
    if write:
        _keep(config, directory, source, target)
    say(f"tokenizers: {_describe(source, target)}, trained")
    return source, target


def _keep(config, directory, source, target):
    directory.mkdir(parents=True, exist_ok=True)
    sections = {
        key: section
        for key, section in config.to_dict()["data"].items()
        if key.endswith("tokenizer")
    }
    # target.json is written last: without it the directory is what an interruption left
    (directory / "target.json").unlink(missing_ok=True)
    write_atomically(directory / MADE_WITH, yaml.safe_dump({"data": sections}, sort_keys=False))
    tokenizers.save_pair(directory, source, target)


def _are_made(config, run_dir, directory) -> bool:
    """Whether the tokenizers of these settings are there; other ones of a trained run: an error."""
    if not (directory / "target.json").is_file():
        return False
    path = directory / MADE_WITH
    if not path.is_file():  # a run that `Translator.save` wrote
        return True
    found = list(config_differences(_tokenizing(Config.load(path)), _tokenizing(config)))
    if checkpoints.exists(Path(run_dir) / "last"):
        _refuse(path, found)
    return not found and _points(config) == _has_pointers(directory)


def _points(config) -> bool:
    """Whether the model is a pointer network, whose target has no vocabulary."""
    kind = models.resolve(config.model)["head"]["kind"]
    return models.KINDS["head"][kind].is_pointer


def _has_pointers(directory) -> bool:
    described = json.loads((directory / "target.json").read_text())
    return described.get("kind") == tokenizers.Pointers.kind


def training_corpus(config: Config):
    """`data.train`, or the error that it is missing."""
    if config.data.train is None:
        raise UserError("data.train: expected source and target, or pairs, came nothing")
    return config.data.train


def _train(config, corpus):
    ours, theirs = config.data.tokenizers()
    if any(config.data.frames()):
        return [
            _side(config, corpus, side, framed)
            for side, framed in zip(("source", "target"), config.data.frames(), strict=True)
        ]
    sources, targets = read_side(corpus, "source"), read_side(corpus, "target")
    if ours.shared:
        both = _trained("data.tokenizer", ours, itertools.chain(sources, targets))
        return both, both
    own = [
        name if getattr(config.data, name) else "tokenizer"
        for name in ("source_tokenizer", "target_tokenizer")
    ]
    if _points(config):
        if ours.parts:
            text = "expected no factors and no several sources for a pointer network"
            raise UserError(f"data.{own[0]}: {text}, came {ours.kind}")
        return [_trained(f"data.{own[0]}", ours, sources)] * 2
    return _trained(f"data.{own[0]}", ours, sources), _trained(f"data.{own[1]}", theirs, targets)


def _side(config, corpus, side, framed):
    """What reads one side where one of the two is frames."""
    if framed:
        first = corpus[0] if isinstance(corpus, list) else corpus
        return tokenizers.Features(feature_size(getattr(first, side)))
    name = f"{side}_tokenizer" if getattr(config.data, f"{side}_tokenizer") else "tokenizer"
    own = config.data.tokenizers()[side == "target"]
    return _trained(f"data.{name}", own, read_side(corpus, side))


def _trained(key, config, lines):
    try:
        return tokenizers.train(config, lines)
    except UserError as error:
        text = str(error)
        if text.startswith("expected"):
            raise UserError(f"{key}: {text}") from None
        named = text.startswith(("size:", "kind:", "special_tokens:", "parts."))
        raise UserError(f"{key}.{text}" if named else text) from None


def write_to_stderr(text: str) -> None:
    """Where lines for the user go unless a caller takes them."""
    sys.stderr.write(text + "\n")


def _describe(source, target):
    if source is target:
        return f"{source.kind} {source.size:,} shared"
    return f"source {source.kind} {source.size:,}, target {target.kind} {target.size:,}"


def merge_run_config(config: Config, run_dir) -> Config:
    """The configuration with what it leaves out taken from the run's own config.yml.

    A run without a checkpoint lends nothing: it starts from the beginning.
    """
    run_dir = Path(run_dir)
    if not checkpoints.exists(run_dir / "last") or not (run_dir / "config.yml").is_file():
        return config
    stored = Config.load(run_dir / "config.yml")
    raw = config.to_dict()
    if raw["data"]["batch_tokens"] == "auto":
        raw["data"]["batch_tokens"] = stored.data.batch_tokens
    for name in CHOSEN:
        if raw["training"][name] in (None, {}):
            raw["training"][name] = getattr(stored.training, name)
    return Config.from_dict(raw)


def check_run_config(config: Config, run_dir) -> None:
    """Refuses a complete configuration that is not the run's.

    Before the first checkpoint that means other tokenizers; after it also another model, other
    data (see `check_corpora` for the files) and what the optimizer's variables depend on.

    Raises:
        UserError: naming every key that differs, the run's value and the one that came; or the run
            has a `best` alone, such as a mean, which training would write over.
    """
    _refuse_best_alone(Path(run_dir))
    path = Path(run_dir) / "config.yml"
    if not path.is_file():
        return
    stored = Config.load(path)
    old, new = _tokenizing(stored), _tokenizing(config)
    if checkpoints.exists(Path(run_dir) / "last"):
        old, new = old | _lasting(stored), new | _lasting(config)
    _refuse(path, config_differences(old, new))


def _refuse_best_alone(run_dir):
    best = run_dir / "best"
    begun = any(checkpoints.exists(run_dir / name) for name in ("last", checkpoints.IMPORTED))
    if begun or not checkpoints.exists(best):
        return
    state = checkpoints.load(best)[1]
    if state.get("validations") == 1:  # cut off at the first one, before it wrote `last`
        return
    came = "a mean" if "averaged" in state else "best/ without last/"
    instead = f"training.init_from: {run_dir} begins another one with it"
    raise UserError(f"{run_dir}: expected a run to train, came {came}; {instead}")


def check_corpora(config: Config, run_dir, surveys: dict) -> None:
    """Refuses corpora that do not hold what they held when the run began, wherever they lie.

    Args:
        surveys: of `data.train` and `data.valid`, by `train` and `valid`.

    Raises:
        UserError: naming the keys.
    """
    run_dir = Path(run_dir)
    if not checkpoints.exists(run_dir / "last"):
        return
    held = checkpoints.load(run_dir / "last")[1].get("corpora")
    if held is None:
        return
    path = run_dir / "config.yml"
    stored = Config.load(path).to_dict()["data"]
    for name in ("train", "valid"):
        came = corpus_fingerprint(surveys[name]) if name in surveys else None
        if came == held.get(name):
            continue
        given = {f"data.{name}": config.to_dict()["data"][name]}
        _refuse(path, config_differences({f"data.{name}": stored[name]}, given))
        raise UserError(
            f"data.{name}: the files changed since {run_dir} began;"
            " expected the same, or another run directory"
        )


def corpus_fingerprint(statistics) -> int:
    """A number that two corpora hardly share, of their tokens and the length of every pair."""
    tokens = [statistics.source_tokens, statistics.target_tokens]
    found = zlib.crc32(json.dumps([*tokens, *(str(i.weight) for i in statistics.indexes)]).encode())
    for index in statistics.indexes:
        found = zlib.crc32(index.buckets.tobytes(), found)
    return found


def _refuse(path, found):
    problems = [f"{key} is {was!r} in this run, came {came!r}" for key, was, came in found]
    if problems:
        same = "expected the same, or another run directory"
        raise UserError(f"{path}: {'; '.join(problems)}; {same}")


def _lasting(config):
    """What must stay as it is once there is a checkpoint."""
    raw = config.to_dict()
    data = {key: raw["data"][key] for key in raw["data"] if key not in CHECKED_ELSEWHERE}
    # a run may be older than an argument, which it then has the default of
    model = models.resolve(ModelConfig(**raw["model"]))
    lasting = {f"training.{key}": raw["training"][key] for key in LASTING}
    if raw["training"]["policy"] != SCALED:  # whose optimizer has variables for the loss's scale
        lasting["training.policy"] = "float32 or mixed_bfloat16"
    return {"data": data, "model": model, **lasting}


def _tokenizing(config):
    source, target = config.data.tokenizers()
    if source.shared:
        return {"data.tokenizer": asdict(source)}
    return {"data.source_tokenizer": asdict(source), "data.target_tokenizer": asdict(target)}


def config_differences(old: dict, new: dict, path: str = ""):
    """Yields (dotted key, old value, new value) where two nested mappings differ."""
    for key in dict.fromkeys([*old, *new]):
        was, came, dotted = _named(old.get(key)), _named(new.get(key)), f"{path}{key}"
        if isinstance(was, dict) and isinstance(came, dict):
            yield from config_differences(was, came, f"{dotted}.")
        elif was != came:
            yield dotted, was, came


def _named(value):
    """Lists of mappings as mappings by number, so that what differs in them has a name."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return {str(number): one for number, one in enumerate(value)}
    return value
