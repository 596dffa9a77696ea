"""Decoding, batches, lengths of training, validation and export."""

import math

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


def decoding(job) -> None:
    """Beam, penalties and lengths of targets."""
    number = job.theirs.number
    beam = max(1, number("params.beam_width", 1, whole=True))
    job.put("params.beam_width", decoding={"beam_size": beam})
    count = number("infer.n_best", 1, whole=True)
    count = number("params.num_hypotheses", count, whole=True)
    count = beam if count <= 0 else count
    if count > beam:
        raise job.theirs.wrong("params.num_hypotheses", f"at most params.beam_width, {beam}")
    for key in ("params.num_hypotheses", "infer.n_best"):
        job.put(key, decoding={"num_hypotheses": count})
    for key in ("length_penalty", "coverage_penalty"):
        job.put(f"params.{key}", decoding={key: float(number(f"params.{key}", 0))})
    shortest = number("params.minimum_decoding_length", 0, low=0, whole=True)
    longest = number("params.maximum_decoding_length", NO_LIMIT, low=1, whole=True)
    job.put("params.minimum_decoding_length", decoding={"min_length": shortest})
    job.put("params.maximum_decoding_length", decoding={"max_length": longest})
    replace = job.theirs.flag("params.replace_unknown_target")
    job.put("params.replace_unknown_target", decoding={"replace_unknown": replace})
    for name, value in (("beam_size", beam), ("max_length", longest)):
        if value > CAPS[name]:
            ours = "max_beam_size" if name == "beam_size" else name
            job.ours.setdefault("export", {})[ours] = value
    smoothing = number("params.label_smoothing", 0.0, low=0)
    job.put("params.label_smoothing", training={"label_smoothing": float(smoothing)})
    dropout = number("params.dropout", low=0)
    if dropout is None:
        job.same("params.dropout", "that of the model")
    else:
        job.put("params.dropout", "of every part", model={"dropout": float(dropout)})


def batches(job) -> None:
    """What a batch is, and how many make an update."""
    theirs = job.theirs
    size = theirs.number("train.batch_size", 0, low=0, whole=True)
    effective = theirs.number("train.effective_batch_size", low=1)
    kind = theirs.get("train.batch_type", "examples")
    if kind not in ("examples", "tokens"):
        raise theirs.wrong("train.batch_type", "examples or tokens")
    if kind == "tokens":
        job.same("train.batch_type", "a batch has so many tokens of the longer side")
        batch = size or (BATCH if effective else "auto")
        remark = "" if size else "0 searches for the largest" if effective else "the fastest one"
        job.put("train.batch_size", remark, data={"batch_tokens": batch})
    else:
        job.refuse("train.batch_type", "a batch is counted in tokens: data.batch_tokens")
        job.refuse("train.batch_size", f"of pairs; data.batch_tokens stays at {BATCH}")
        batch = size or effective
    if effective is None:
        job.same("train.effective_batch_size", "a batch makes an update")
    else:
        count = max(1, math.ceil(effective / batch))
        job.put("train.effective_batch_size", training={"accumulate": count})


def lengths(job) -> None:
    """How long training goes on and how long its pairs may be."""
    theirs = job.theirs
    updates = theirs.number("train.max_step", low=1, whole=True)
    if updates:
        job.put("train.max_step", training={"updates": updates})
    else:
        job.refuse("train.max_step", "training ends somewhere: training.updates")
    keys = [f"train.maximum_{side}_length" for side in ("features", "labels")]
    found = [theirs.number(key, low=1, whole=True) for key in keys]
    limits = [limit for limit in found if limit]
    for key, limit in zip(keys, found, strict=True):
        if not limit:
            job.refuse(key, "a pair has a longest side: data.max_length")
            continue
        other = "one limit for both sides, the larger" if len({*limits}) > 1 else ""
        job.put(key, other, data={"max_length": max(limits)})
    decay = theirs.number("train.moving_average_decay", low=0)
    if decay:
        job.put("train.moving_average_decay", training={"ema": decay})
    else:
        job.same("train.moving_average_decay", "weights are those of the last update")
    every = theirs.number("train.save_checkpoints_steps", low=1, whole=True)
    if every:
        job.put("train.save_checkpoints_steps", training={"checkpoint_every": every})
    else:
        job.same("train.save_checkpoints_steps", "every validation saves")
    averaging(job)


def averaging(job) -> None:
    """How many checkpoints stay, and the mean of the last."""
    theirs, keys = job.theirs, ("train.keep_checkpoint_max", "train.average_last_checkpoints")
    kept, averaged = (theirs.number(key, 0, low=0, whole=True) for key in keys)
    keep = max(kept or 0, averaged or 0)
    job.put(keys[0], training={"keep": keep})
    run = "when trained: keras-s2s average RUN --output RUN2"
    job.put(keys[1], run if averaged else "", training={"keep": keep})


def evaluation(job) -> None:
    """Validations: how often, by what, when they end training and publish a model."""
    theirs = job.theirs
    every = theirs.number("eval.steps", 5000, low=1, whole=True)
    job.put("eval.steps", training={"validate_every": every})
    for key in ("eval.scorers", "eval.external_evaluators"):
        _scorers(job, key)
    best = theirs.get("eval.export_on_best")
    job.put("eval.export_on_best", export={"when": "best" if best else "never"})
    if best:
        _metric(job, "eval.export_on_best")
    keep = theirs.number("eval.max_exports_to_keep", 5, whole=True)
    if keep and keep > 0:
        job.put("eval.max_exports_to_keep", export={"keep": keep})
    else:
        job.refuse("eval.max_exports_to_keep", "export.keep is a number of at least 1")
    _early_stopping(job)


def _scorers(job, key):
    names = [name.lower() for name in job.theirs.texts(key)]
    if not names:
        job.same(key, "the loss is looked at, and what the tokenizer suggests")
        return
    found = [score for name in names for score in SCORERS.get(name, ())]
    missing = [name for name in names if name not in SCORERS]
    if not found:
        job.refuse(key, "training.scores has bleu, chrf, ter, rouge1, wer and others")
        return
    remark = f"without {', '.join(missing)}, which nothing computes" if missing else ""
    job.put(key, remark, training={"scores": found})


def _metric(job, key):
    """The metric that decides; the first key that names one wins."""
    name = str(job.theirs.get(key)).lower()
    ours, chosen = METRICS.get(name), job.ours.get("training", {}).get("metric")
    if ours is None:
        job.refuse(key, f"{name}: training.metric is one of {', '.join(METRICS.values())}")
    elif chosen not in (None, ours):
        job.refuse(key, f"one metric decides on both, training.metric: {chosen}")
    else:
        job.put(key, training={"metric": ours})


def _early_stopping(job):
    key = "eval.early_stopping"
    if not job.theirs.mapping(key):
        job.same(key, "training goes on to its end")
        return
    steps = job.theirs.number(f"{key}.steps", low=1, whole=True)
    if steps is None:
        raise job.theirs.wrong(f"{key}.steps", "a whole number of at least 1")
    job.put(f"{key}.steps", training={"patience": steps})
    if job.theirs.get(f"{key}.metric") is not None:
        _metric(job, f"{key}.metric")
    else:
        job.same(f"{key}.metric", "the loss decides")
    say = job.refuse if job.theirs.number(f"{key}.min_improvement", 0) else job.same
    say(f"{key}.min_improvement", "any better figure counts")
