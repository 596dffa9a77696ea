"""Decoding, batches, length of training, validation and export."""

import math

from keras_s2s.importers.opennmt.conversion import ConfigConversion
from keras_s2s.signatures.caps import CAPS

__all__ = ["averaging", "batches", "decoding", "evaluation", "lengths"]

BATCH, NO_LIMIT = 4096, 250
SCORERS = {
    "bleu": ["bleu"],
    "rouge": ["rouge1", "rouge2", "rougeL"],
    "wer": ["wer"],
    "ter": ["ter"],
    "chrf": ["chrf"],
}
METRICS = {
    "loss": "loss",
    "perplexity": "perplexity",
    "bleu": "bleu",
    "wer": "wer",
    "ter": "ter",
    "chrf": "chrf",
    "rouge-1": "rouge1",
    "rouge-2": "rouge2",
    "rouge-l": "rougeL",
}


def decoding(conversion: ConfigConversion) -> None:
    """Translates beam size, penalties, target lengths, label smoothing and dropout."""
    number = conversion.opennmt_config.number
    beam = max(1, number("params.beam_width", 1, integer=True))
    conversion.set_keys("params.beam_width", decoding={"beam_size": beam})
    count = number("infer.n_best", 1, integer=True)
    count = number("params.num_hypotheses", count, integer=True)
    count = beam if count <= 0 else count
    if count > beam:
        raise conversion.opennmt_config.error(
            "params.num_hypotheses", f"at most params.beam_width, {beam}"
        )
    for key in ("params.num_hypotheses", "infer.n_best"):
        conversion.set_keys(key, decoding={"num_hypotheses": count})
    for key in ("length_penalty", "coverage_penalty"):
        conversion.set_keys(f"params.{key}", decoding={key: float(number(f"params.{key}", 0))})
    shortest = number("params.minimum_decoding_length", 0, low=0, integer=True)
    longest = number("params.maximum_decoding_length", NO_LIMIT, low=1, integer=True)
    conversion.set_keys("params.minimum_decoding_length", decoding={"min_length": shortest})
    conversion.set_keys("params.maximum_decoding_length", decoding={"max_length": longest})
    replace = conversion.opennmt_config.flag("params.replace_unknown_target")
    conversion.set_keys("params.replace_unknown_target", decoding={"replace_unknown": replace})
    for name, value in (("beam_size", beam), ("max_length", longest)):
        if value > CAPS[name]:
            config_key = "max_beam_size" if name == "beam_size" else name
            conversion.config.setdefault("export", {})[config_key] = value
    smoothing = number("params.label_smoothing", 0.0, low=0)
    conversion.set_keys("params.label_smoothing", training={"label_smoothing": float(smoothing)})
    dropout = number("params.dropout", low=0)
    if dropout is None:
        conversion.add_same("params.dropout", "that of the model")
    else:
        conversion.set_keys("params.dropout", "of every part", model={"dropout": float(dropout)})


def batches(conversion: ConfigConversion) -> None:
    """Translates batch size, batch type and gradient accumulation."""
    opennmt_config = conversion.opennmt_config
    size = opennmt_config.number("train.batch_size", 0, low=0, integer=True)
    effective = opennmt_config.number("train.effective_batch_size", low=1)
    kind = opennmt_config.get("train.batch_type", "examples")
    if kind not in ("examples", "tokens"):
        raise opennmt_config.error("train.batch_type", "examples or tokens")
    if kind == "tokens":
        conversion.add_same("train.batch_type", "a batch has so many tokens of the longer side")
        batch = size or (BATCH if effective else "auto")
        remark = "" if size else "0 searches for the largest" if effective else "the fastest one"
        conversion.set_keys("train.batch_size", remark, data={"batch_tokens": batch})
    else:
        conversion.add_refused(
            "train.batch_type", "a batch is counted in tokens: data.batch_tokens"
        )
        conversion.add_refused("train.batch_size", f"of pairs; data.batch_tokens stays at {BATCH}")
        batch = size or effective
    if effective is None:
        conversion.add_same("train.effective_batch_size", "a batch makes an update")
    else:
        count = max(1, math.ceil(effective / batch))
        conversion.set_keys("train.effective_batch_size", training={"accumulate": count})


def lengths(conversion: ConfigConversion) -> None:
    """Translates the number of updates, length limits, moving average and checkpoint interval."""
    opennmt_config = conversion.opennmt_config
    updates = opennmt_config.number("train.max_step", low=1, integer=True)
    if updates:
        conversion.set_keys("train.max_step", training={"updates": updates})
    else:
        conversion.add_refused("train.max_step", "training ends somewhere: training.updates")
    keys = [f"train.maximum_{side}_length" for side in ("features", "labels")]
    values = [opennmt_config.number(key, low=1, integer=True) for key in keys]
    limits = [limit for limit in values if limit]
    for key, limit in zip(keys, values, strict=True):
        if not limit:
            conversion.add_refused(key, "a pair has a longest side: data.max_length")
            continue
        other = "one limit for both sides, the larger" if len({*limits}) > 1 else ""
        conversion.set_keys(key, other, data={"max_length": max(limits)})
    decay = opennmt_config.number("train.moving_average_decay", low=0)
    if decay:
        conversion.set_keys("train.moving_average_decay", training={"ema": decay})
    else:
        conversion.add_same("train.moving_average_decay", "weights are those of the last update")
    interval = opennmt_config.number("train.save_checkpoints_steps", low=1, integer=True)
    if interval:
        conversion.set_keys("train.save_checkpoints_steps", training={"checkpoint_every": interval})
    else:
        conversion.add_same("train.save_checkpoints_steps", "every validation saves")
    averaging(conversion)


def averaging(conversion: ConfigConversion) -> None:
    """Translates the number of kept and of averaged checkpoints."""
    opennmt_config, keys = (
        conversion.opennmt_config,
        ("train.keep_checkpoint_max", "train.average_last_checkpoints"),
    )
    num_kept, num_averaged = (opennmt_config.number(key, 0, low=0, integer=True) for key in keys)
    keep = max(num_kept or 0, num_averaged or 0)
    conversion.set_keys(keys[0], training={"keep": keep})
    run = "when trained: keras-s2s average RUN --output RUN2"
    conversion.set_keys(keys[1], run if num_averaged else "", training={"keep": keep})


def evaluation(conversion: ConfigConversion) -> None:
    """Translates validation interval, scorers, early stopping and export on best."""
    opennmt_config = conversion.opennmt_config
    interval = opennmt_config.number("eval.steps", 5000, low=1, integer=True)
    conversion.set_keys("eval.steps", training={"validate_every": interval})
    for key in ("eval.scorers", "eval.external_evaluators"):
        _scorers(conversion, key)
    best = opennmt_config.get("eval.export_on_best")
    conversion.set_keys("eval.export_on_best", export={"when": "best" if best else "never"})
    if best:
        _metric(conversion, "eval.export_on_best")
    keep = opennmt_config.number("eval.max_exports_to_keep", 5, integer=True)
    if keep and keep > 0:
        conversion.set_keys("eval.max_exports_to_keep", export={"keep": keep})
    else:
        conversion.add_refused("eval.max_exports_to_keep", "export.keep is a number of at least 1")
    _early_stopping(conversion)


def _scorers(conversion, key):
    names = [name.lower() for name in conversion.opennmt_config.strings(key)]
    if not names:
        conversion.add_same(key, "the loss is looked at, and what the tokenizer suggests")
        return
    values = [score for name in names for score in SCORERS.get(name, ())]
    missing = [name for name in names if name not in SCORERS]
    if not values:
        conversion.add_refused(key, "training.scores has bleu, chrf, ter, rouge1, wer and others")
        return
    remark = f"without {', '.join(missing)}, which nothing computes" if missing else ""
    conversion.set_keys(key, remark, training={"scores": values})


def _metric(conversion, key):
    """Sets the deciding metric; the first key that names one has precedence."""
    name = str(conversion.opennmt_config.get(key)).lower()
    config_key, chosen = METRICS.get(name), conversion.config.get("training", {}).get("metric")
    if config_key is None:
        conversion.add_refused(
            key, f"{name}: training.metric is one of {', '.join(METRICS.values())}"
        )
    elif chosen not in (None, config_key):
        conversion.add_refused(key, f"one metric decides on both, training.metric: {chosen}")
    else:
        conversion.set_keys(key, training={"metric": config_key})


def _early_stopping(conversion):
    key = "eval.early_stopping"
    if not conversion.opennmt_config.mapping(key):
        conversion.add_same(key, "training goes on to its end")
        return
    steps = conversion.opennmt_config.number(f"{key}.steps", low=1, integer=True)
    if steps is None:
        raise conversion.opennmt_config.error(f"{key}.steps", "a whole number of at least 1")
    conversion.set_keys(f"{key}.steps", training={"patience": steps})
    if conversion.opennmt_config.get(f"{key}.metric") is not None:
        _metric(conversion, f"{key}.metric")
    else:
        conversion.add_same(f"{key}.metric", "the loss decides")
    report = (
        conversion.add_refused
        if conversion.opennmt_config.number(f"{key}.min_improvement", 0)
        else conversion.add_same
    )
    report(f"{key}.min_improvement", "any better figure counts")
