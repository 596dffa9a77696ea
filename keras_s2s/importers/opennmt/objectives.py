"""What training minimises beside the likelihood, and what its decoder reads."""

__all__ = ["objectives"]

KINDS = {"ce": "cross_entropy", "mse": "squared"}
SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")
TRUTH = "training reads the true target at every position"


def objectives(job) -> None:
    """Guided alignment, penalties of weights, the contrastive objective, scheduled sampling."""
    _guided_alignment(job)
    _regularization(job)
    _contrast(job)
    _sampling(job)


def _guided_alignment(job):
    theirs, keys = job.theirs, [f"params.guided_alignment_{end}" for end in ("type", "weight")]
    kind, weight = theirs.get(keys[0]), theirs.number(keys[1], 1, low=0)
    if kind is None:
        for key in (*keys, "data.train_alignments"):
            job.same(key, "without a guided_alignment_type attention is left to itself")
        return
    if kind not in KINDS:
        raise theirs.wrong(keys[0], "ce or mse")
    if not theirs.texts("data.train_alignments"):
        for key in keys:
            job.same(key, "without data.train_alignments attention is left to itself")
        return
    remark = {
        "ce": "a token aligned to n of the source shares 1 among them",
        "mse": "half the sum over the source, theirs is its mean",
    }[kind]
    _put(job, keys[0], remark, guided_alignment_kind=KINDS[kind])
    _put(job, keys[1], guided_alignment=float(weight))


def _regularization(job):
    theirs, key = job.theirs, "params.regularization"
    if not theirs.mapping(key):
        job.same(key, "no weight is penalised")
        return
    kind = theirs.get(f"{key}.type")
    if kind != "l2":
        job.refuse(key, f"{kind}: training.objectives.l2 is the penalty there is")
        return
    scale = theirs.number(f"{key}.scale", low=0)
    if scale is None:
        raise theirs.wrong(f"{key}.scale", "a number of at least 0")
    _put(job, key, l2=float(scale))


def _contrast(job):
    theirs, keys = job.theirs, ("params.contrastive_learning", "params.max_margin_eta")
    eta = theirs.number(keys[1], 0.1, low=0)
    if not theirs.flag(keys[0]):
        job.same(keys[0], "likelihood is the objective")
        job.same(keys[1], "read with contrastive_learning alone")
        return
    _put(job, keys[0], "in place of the likelihood, as theirs", max_margin=1.0, cross_entropy=0.0)
    _put(job, keys[1], max_margin_eta=float(eta))


def _sampling(job):
    """Theirs falls from the read probability by k an update, ours to 0 within k updates."""
    theirs = job.theirs
    key, read, slope = (
        f"params.scheduled_sampling_{end}" for end in ("type", "read_probability", "k")
    )
    kind, k = theirs.get(key, "constant"), theirs.number(slope, low=0)
    if kind not in SCHEDULES:
        raise theirs.wrong(key, f"one of {', '.join(SCHEDULES)}")
    share = theirs.number(read, 1.0, low=0)
    share = 1.0 if share is None else min(float(share), 1.0)
    if kind == "constant":
        job.same(slope, "a constant schedule has none")
        if share == 1.0:
            job.same(key, TRUTH)
            job.same(read, TRUTH)
            return
        _put(job, key, scheduled_sampling=kind)
        _put(job, read, sampling_probability=share)
        return
    if not k:
        raise theirs.wrong(slope, f"a number above 0 for {kind}")
    _falling(job, kind, k, share, (key, read, slope))


def _falling(job, kind, k, share, keys):
    key, read, slope = keys
    why = None
    if kind == "linear" and share < 1:
        why = f"ours begins with the true target everywhere, not at {share}"
    elif kind == "exponential" and k >= 1:
        why = f"a share of k to the power of the update falls with a k below 1, came {k}"
    elif kind == "inverse_sigmoid" and k < 1:
        why = f"expects a k of at least 1, came {k}"
    if why:
        for one in keys:
            job.refuse(one, f"{kind}: {why}")
        return
    _put(job, key, scheduled_sampling=kind)
    job.same(read, "the share begins at 1 and falls" if kind == "linear" else f"{kind} has none")
    remark = "updates until 0, theirs is the fall of an update" if kind == "linear" else ""
    _put(job, slope, remark, sampling_k=1.0 / k if kind == "linear" else float(k))


def _put(job, key, remark="", **values):
    """Sets keys of `training.objectives`, one below the section."""
    made = job.ours.setdefault("training", {}).setdefault("objectives", {})
    made.update(values)
    flat = {f"training.objectives.{name}": value for name, value in values.items()}
    job.say(key, flat, remark)
