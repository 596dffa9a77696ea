"""Optimizer, learning rate and its schedule, and the layers that are not trained."""

import math
import re

from keras_s2s.importers.opennmt.models import Transformer

__all__ = ["freezing", "optimizer", "schedule"]

# Their class -> our name, and the options that both have, with their defaults where ours differ.
_ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
OPTIMIZERS = {
    "adam": ("adam", {**_ADAM, "amsgrad": None}),
    "lazyadam": ("adam", {**_ADAM, "amsgrad": None}),
    "adamw": ("adamw", {**_ADAM, "amsgrad": None}),
    "nadam": ("nadam", dict(_ADAM)),
    "adamax": ("adamax", dict(_ADAM)),
    "lamb": ("lamb", {**_ADAM, "epsilon": 1e-6}),
    "sgd": ("sgd", {"momentum": None, "nesterov": None}),
    "rmsprop": ("rmsprop", {"rho": None, "momentum": None, "epsilon": None, "centered": None}),
    "adagrad": ("adagrad", {"initial_accumulator_value": None, "epsilon": None}),
    "adadelta": ("adadelta", {"rho": None, "epsilon": None}),
}
CLIPPING = ("clipnorm", "clipvalue")  # of each variable by itself
DECAYS = {
    "NoamDecay": "noam",
    "RsqrtDecay": "inverse_sqrt",
    "InvSqrtDecay": "inverse_sqrt",
    "CosineAnnealing": "cosine",
    "CosineDecay": "cosine",
    "ExponentialDecay": "exponential",
}
NO_FLOOR = "a schedule has no floor"


def optimizer(job) -> None:
    """The optimizer and its options; without one of ours, Adam."""
    theirs, key = job.theirs, "params.optimizer"
    given, name = theirs.mapping("params.optimizer_params"), theirs.get(key)
    if name is not None and str(name).lower() not in OPTIMIZERS:
        job.refuse(key, "adam takes its place; see training.optimizer for those there are")
        job.refuse("params.optimizer_params", "they belong to the optimizer")
        job.ours.setdefault("training", {})["clip_norm"] = 0.0
        return
    ours, known = OPTIMIZERS[str(name or "adam").lower()]
    options = {option: value for option, value in known.items() if value is not None}
    remarks = {}
    for option, value in given.items():
        dotted = f"params.optimizer_params.{option}"
        if option in known or option in CLIPPING:
            options[option] = _option(theirs, dotted, value)
        elif option == "weight_decay":
            ours, options[option] = _decaying(ours), theirs.number(dotted, low=0)
            remarks[dotted] = "theirs is not multiplied by the learning rate, ours is"
    clip = given.get("global_clipnorm")
    job.put(key, training={"optimizer": ours})
    if given:
        job.ours["training"]["optimizer_options"] = options
    else:
        job.put("params.optimizer_params", training={"optimizer_options": options})
    clip = 0.0 if clip is None else theirs.number("params.optimizer_params.global_clipnorm", low=0)
    job.put("params.optimizer_params.global_clipnorm", training={"clip_norm": clip})
    _say_options(job, given, options, remarks)


def _decaying(ours):
    return "adamw" if ours == "adam" else ours


def _option(theirs, dotted, value):
    return value if isinstance(value, bool) else theirs.number(dotted)


def _say_options(job, given, options, remarks):
    for option in given:
        dotted = f"params.optimizer_params.{option}"
        if option in options:
            flat = {f"training.optimizer_options.{option}": options[option]}
            job.say(dotted, flat, remarks.get(dotted, ""))
        elif option == "decay":
            job.refuse(dotted, "training.schedule: inverse_sqrt or another one")
        elif option != "global_clipnorm":
            job.refuse(dotted, "the optimizer here has no such option")


def schedule(job) -> None:
    """Learning rate, decay type and parameters; a decay of other numbers is said to be so."""
    theirs = job.theirs
    name, rate = theirs.get("params.decay_type"), theirs.number("params.learning_rate", low=0)
    given = theirs.mapping("params.decay_params")
    duration = theirs.number("params.decay_step_duration", 1, low=1)
    if name is None:
        job.put("params.decay_type", training={"schedule": "constant", "warmup": 0})
        _put_rate(job, rate)
        job.refuse("params.decay_params", "there is no params.decay_type that they belong to")
        job.refuse("params.decay_step_duration", "there is no params.decay_type that it belongs to")
        return
    if str(name) not in DECAYS:
        job.refuse(
            "params.decay_type",
            "the schedules are constant, inverse_sqrt, noam, cosine"
            " and exponential; constant takes its place",
        )
        job.refuse("params.decay_params", "they belong to the decay")
        job.refuse("params.decay_step_duration", "it belongs to the decay")
        job.ours.setdefault("training", {}).update({"schedule": "constant", "warmup": 0})
        _put_rate(job, rate)
        return
    _decay(job, str(name), rate, given, duration)


def _put_rate(job, rate, remark=""):
    if rate:
        job.put("params.learning_rate", remark, training={"learning_rate": rate})
    else:
        job.refuse("params.learning_rate", "a rate is above 0; the model's kind chooses one")


def _decay(job, name, rate, given, duration):
    number = job.theirs.number
    first = {
        "NoamDecay": "scale",
        "RsqrtDecay": "scale",
        "InvSqrtDecay": "learning_rate",
        "CosineAnnealing": "eta_max",
    }.get(name, "initial_learning_rate")
    dotted = "params.decay_params."
    rate = number(f"{dotted}{first}", rate, low=0)
    warmup = number(f"{dotted}warmup_steps", 0, low=0) or 0
    job.put("params.decay_type", training={"schedule": DECAYS[name]})
    remark, factor = "", 1.0
    if name == "NoamDecay":
        width = number(f"{dotted}model_dim", _width(job), low=1)
        factor = math.sqrt(duration * _width(job, width) / width)
        remark = "times the root of our width over model_dim" if factor != 1.0 else ""
    elif name == "RsqrtDecay":
        factor = 1 / math.sqrt(max(warmup, 1))
        remark = "the peak; the warm-up rises here, theirs is flat"
    _put_rate(job, rate * factor if rate else rate, remark)
    if f"{first}" in given:
        value = job.ours.get("training", {}).get("learning_rate")
        job.say(f"{dotted}{first}", {"training.learning_rate": value})
    steps = round(warmup * duration)
    job.put(f"{dotted}warmup_steps", training={"warmup": steps})
    if duration == 1 or name in ("NoamDecay", "InvSqrtDecay", "RsqrtDecay"):
        job.say("params.decay_step_duration", {"training.warmup": steps})
    else:
        job.refuse("params.decay_step_duration", "a schedule counts updates")
    _say_rest(job, name, given, first)


def _width(job, otherwise=512):
    return job.model.units if isinstance(job.model, Transformer) else otherwise


def _say_rest(job, name, given, first):
    """The parameters of a decay that ours has no number for."""
    theirs, dotted = job.theirs, "params.decay_params."
    for option in given:
        key = dotted + str(option)
        if option in (first, "warmup_steps"):
            continue
        if option == "model_dim" and name == "NoamDecay":
            job.same(key, "noam takes the model's own width")
        elif option in ("eta_min", "alpha", "initial_learning_rate"):
            value = theirs.number(key)
            say = job.refuse if value else job.same
            what = "a warm-up begins at 0" if option == "initial_learning_rate" else NO_FLOOR
            say(key, what)
        elif option in ("max_step", "decay_steps") and name.startswith("Cosine"):
            same = theirs.number(key) == theirs.number("train.max_step")
            say = job.same if same else job.refuse
            say(key, "cosine ends at training.updates")
        elif name == "ExponentialDecay":
            job.refuse(key, "exponential halves the rate five times in training's second half")
        else:
            job.refuse(key, "the schedule here has no such number")


# Where a part of theirs is among the weights that training.freeze names.
_PARTS = (
    (r"(?:model/)?encoder", "encoder"),
    (r"(?:model/)?decoder", "decoder"),
    (r"(?:model/)?(encoder|decoder)/layers/(\d+)", r"\1/layers/\2"),
    (r"(?:model/)?decoder/output_layer", "head"),
    (r"(?:model/)?(?:examples_inputter/)?features_inputter", "source"),
    (r"(?:model/)?(?:examples_inputter/)?labels_inputter", "target"),
)


def freezing(job) -> None:
    """Layers that are not trained, by our names."""
    key = "params.freeze_layers"
    layers = job.theirs.texts(key)
    if not layers:
        job.same(key, "every layer is trained")
        return
    found = [_part(layer) for layer in layers]
    known = [name for name in found if name]
    if not known:
        job.refuse(key, "name weights in training.freeze")
        return
    frozen = [*job.ours.get("training", {}).get("freeze", []), *known]
    missing = [layer for layer, name in zip(layers, found, strict=True) if not name]
    remark = f"without {', '.join(missing)}: name their weights yourself" if missing else ""
    job.put(key, remark, training={"freeze": frozen})


def _part(layer):
    for pattern, name in _PARTS:
        matched = re.fullmatch(pattern, layer.strip("/"))
        if matched:
            return matched.expand(name)
    return None
