"""Training objectives besides the likelihood, and scheduled sampling."""

from keras_s2s.importers.opennmt.conversion import ConfigConversion

__all__ = ["objectives"]

KINDS = {"ce": "cross_entropy", "mse": "squared"}
SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")
TRUTH = "training reads the true target at every position"


def objectives(conversion: ConfigConversion) -> None:
    """Translates guided alignment, weight penalties, contrastive learning, scheduled sampling."""
    _guided_alignment(conversion)
    _regularization(conversion)
    _contrastive_learning(conversion)
    _scheduled_sampling(conversion)


def _guided_alignment(conversion):
    opennmt_config, keys = (
        conversion.opennmt_config,
        [f"params.guided_alignment_{end}" for end in ("type", "weight")],
    )
    kind, weight = opennmt_config.get(keys[0]), opennmt_config.number(keys[1], 1, low=0)
    if kind is None:
        for key in (*keys, "data.train_alignments"):
            conversion.add_same(key, "without a guided_alignment_type attention is left to itself")
        return
    if kind not in KINDS:
        raise opennmt_config.error(keys[0], "ce or mse")
    if not opennmt_config.strings("data.train_alignments"):
        for key in keys:
            conversion.add_same(key, "without data.train_alignments attention is left to itself")
        return
    remark = {
        "ce": "a token aligned to n of the source shares 1 among them",
        "mse": "half the sum over the source, theirs is its mean",
    }[kind]
    _set(conversion, keys[0], remark, guided_alignment_kind=KINDS[kind])
    _set(conversion, keys[1], guided_alignment=float(weight))


def _regularization(conversion):
    opennmt_config, key = conversion.opennmt_config, "params.regularization"
    if not opennmt_config.mapping(key):
        conversion.add_same(key, "no weight is penalised")
        return
    kind = opennmt_config.get(f"{key}.type")
    if kind != "l2":
        conversion.add_refused(key, f"{kind}: training.objectives.l2 is the penalty there is")
        return
    scale = opennmt_config.number(f"{key}.scale", low=0)
    if scale is None:
        raise opennmt_config.error(f"{key}.scale", "a number of at least 0")
    _set(conversion, key, l2=float(scale))


def _contrastive_learning(conversion):
    opennmt_config, keys = (
        conversion.opennmt_config,
        ("params.contrastive_learning", "params.max_margin_eta"),
    )
    eta = opennmt_config.number(keys[1], 0.1, low=0)
    if not opennmt_config.flag(keys[0]):
        conversion.add_same(keys[0], "likelihood is the objective")
        conversion.add_same(keys[1], "read with contrastive_learning alone")
        return
    _set(
        conversion,
        keys[0],
        "in place of the likelihood, as theirs",
        max_margin=1.0,
        cross_entropy=0.0,
    )
    _set(conversion, keys[1], max_margin_eta=float(eta))


def _scheduled_sampling(conversion):
    """OpenNMT-tf decreases the read probability by k per update, this package to 0 in k updates."""
    opennmt_config = conversion.opennmt_config
    key, read, slope = (
        f"params.scheduled_sampling_{end}" for end in ("type", "read_probability", "k")
    )
    kind, k = opennmt_config.get(key, "constant"), opennmt_config.number(slope, low=0)
    if kind not in SCHEDULES:
        raise opennmt_config.error(key, f"one of {', '.join(SCHEDULES)}")
    share = opennmt_config.number(read, 1.0, low=0)
    share = 1.0 if share is None else min(float(share), 1.0)
    if kind == "constant":
        conversion.add_same(slope, "a constant schedule has none")
        if share == 1.0:
            conversion.add_same(key, TRUTH)
            conversion.add_same(read, TRUTH)
            return
        _set(conversion, key, scheduled_sampling=kind)
        _set(conversion, read, sampling_probability=share)
        return
    if not k:
        raise opennmt_config.error(slope, f"a number above 0 for {kind}")
    _decreasing_sampling(conversion, kind, k, share, (key, read, slope))


def _decreasing_sampling(conversion, kind, k, share, keys):
    key, read, slope = keys
    reason = None
    if kind == "linear" and share < 1:
        reason = f"ours begins with the true target everywhere, not at {share}"
    elif kind == "exponential" and k >= 1:
        reason = f"a share of k to the power of the update falls with a k below 1, got {k}"
    elif kind == "inverse_sigmoid" and k < 1:
        reason = f"expects a k of at least 1, got {k}"
    if reason:
        for other_key in keys:
            conversion.add_refused(other_key, f"{kind}: {reason}")
        return
    _set(conversion, key, scheduled_sampling=kind)
    conversion.add_same(
        read, "the share begins at 1 and falls" if kind == "linear" else f"{kind} has none"
    )
    remark = "updates until 0, theirs is the fall of an update" if kind == "linear" else ""
    _set(conversion, slope, remark, sampling_k=1.0 / k if kind == "linear" else float(k))


def _set(conversion, key, remark="", **values):
    """Sets keys of `training.objectives`, which is nested one level deeper than a section."""
    section = conversion.config.setdefault("training", {}).setdefault("objectives", {})
    section.update(values)
    flat = {f"training.objectives.{name}": value for name, value in values.items()}
    conversion.add_translated(key, flat, remark)
