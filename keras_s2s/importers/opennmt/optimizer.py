"""Optimizer, learning rate schedule and frozen layers."""

import math
import re

from keras_s2s.importers.opennmt.conversion import ConfigConversion
from keras_s2s.importers.opennmt.model_types import Transformer

__all__ = ["freezing", "optimizer", "schedule"]

# OpenNMT-tf class -> optimizer name, and the options of both, with the defaults of OpenNMT-tf where
# they differ.
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
CLIPPING = ("clipnorm", "clipvalue")  # each variable on its own
DECAYS = {
    "NoamDecay": "noam",
    "RsqrtDecay": "inverse_sqrt",
    "InvSqrtDecay": "inverse_sqrt",
    "CosineAnnealing": "cosine",
    "CosineDecay": "cosine",
    "ExponentialDecay": "exponential",
}
NO_FLOOR = "a schedule has no floor"


def optimizer(conversion: ConfigConversion) -> None:
    """Translates the optimizer and its options; Adam replaces an unknown one."""
    opennmt_config, key = conversion.opennmt_config, "params.optimizer"
    parameters, name = opennmt_config.mapping("params.optimizer_params"), opennmt_config.get(key)
    if name is not None and str(name).lower() not in OPTIMIZERS:
        conversion.add_refused(
            key, "adam takes its place; see training.optimizer for those there are"
        )
        conversion.add_refused("params.optimizer_params", "they belong to the optimizer")
        conversion.config.setdefault("training", {})["clip_norm"] = 0.0
        return
    optimizer_name, known = OPTIMIZERS[str(name or "adam").lower()]
    options = {option: value for option, value in known.items() if value is not None}
    remarks = {}
    for option, value in parameters.items():
        dotted = f"params.optimizer_params.{option}"
        if option in known or option in CLIPPING:
            options[option] = _option(opennmt_config, dotted, value)
        elif option == "weight_decay":
            optimizer_name, options[option] = (
                _with_weight_decay(optimizer_name),
                opennmt_config.number(dotted, low=0),
            )
            remarks[dotted] = "theirs is not multiplied by the learning rate, ours is"
    clip = parameters.get("global_clipnorm")
    conversion.set_keys(key, training={"optimizer": optimizer_name})
    if parameters:
        conversion.config["training"]["optimizer_options"] = options
    else:
        conversion.set_keys("params.optimizer_params", training={"optimizer_options": options})
    clip = (
        0.0
        if clip is None
        else opennmt_config.number("params.optimizer_params.global_clipnorm", low=0)
    )
    conversion.set_keys("params.optimizer_params.global_clipnorm", training={"clip_norm": clip})
    _report_options(conversion, parameters, options, remarks)


def _with_weight_decay(optimizer_name):
    return "adamw" if optimizer_name == "adam" else optimizer_name


def _option(opennmt_config, dotted, value):
    return value if isinstance(value, bool) else opennmt_config.number(dotted)


def _report_options(conversion, parameters, options, remarks):
    for option in parameters:
        dotted = f"params.optimizer_params.{option}"
        if option in options:
            flat = {f"training.optimizer_options.{option}": options[option]}
            conversion.add_translated(dotted, flat, remarks.get(dotted, ""))
        elif option == "decay":
            conversion.add_refused(dotted, "training.schedule: inverse_sqrt or another one")
        elif option != "global_clipnorm":
            conversion.add_refused(dotted, "the optimizer here has no such option")


def schedule(conversion: ConfigConversion) -> None:
    """Translates learning rate, decay type and decay parameters; reports differing parameters."""
    opennmt_config = conversion.opennmt_config
    name, rate = (
        opennmt_config.get("params.decay_type"),
        opennmt_config.number("params.learning_rate", low=0),
    )
    parameters = opennmt_config.mapping("params.decay_params")
    duration = opennmt_config.number("params.decay_step_duration", 1, low=1)
    if name is None:
        conversion.set_keys("params.decay_type", training={"schedule": "constant", "warmup": 0})
        _set_learning_rate(conversion, rate)
        conversion.add_refused(
            "params.decay_params", "there is no params.decay_type that they belong to"
        )
        conversion.add_refused(
            "params.decay_step_duration", "there is no params.decay_type that it belongs to"
        )
        return
    if str(name) not in DECAYS:
        conversion.add_refused(
            "params.decay_type",
            "the schedules are constant, inverse_sqrt, noam, cosine"
            " and exponential; constant takes its place",
        )
        conversion.add_refused("params.decay_params", "they belong to the decay")
        conversion.add_refused("params.decay_step_duration", "it belongs to the decay")
        conversion.config.setdefault("training", {}).update({"schedule": "constant", "warmup": 0})
        _set_learning_rate(conversion, rate)
        return
    _decay(conversion, str(name), rate, parameters, duration)


def _set_learning_rate(conversion, rate, remark=""):
    if rate:
        conversion.set_keys("params.learning_rate", remark, training={"learning_rate": rate})
    else:
        conversion.add_refused(
            "params.learning_rate", "a rate is above 0; the model's kind chooses one"
        )


def _decay(conversion, name, rate, parameters, duration):
    number = conversion.opennmt_config.number
    rate_option = {
        "NoamDecay": "scale",
        "RsqrtDecay": "scale",
        "InvSqrtDecay": "learning_rate",
        "CosineAnnealing": "eta_max",
    }.get(name, "initial_learning_rate")
    dotted = "params.decay_params."
    rate = number(f"{dotted}{rate_option}", rate, low=0)
    warmup = number(f"{dotted}warmup_steps", 0, low=0) or 0
    conversion.set_keys("params.decay_type", training={"schedule": DECAYS[name]})
    remark, factor = "", 1.0
    if name == "NoamDecay":
        width = number(f"{dotted}model_dim", _width(conversion), low=1)
        factor = math.sqrt(duration * _width(conversion, width) / width)
        remark = "times the root of our width over model_dim" if factor != 1.0 else ""
    elif name == "RsqrtDecay":
        factor = 1 / math.sqrt(max(warmup, 1))
        remark = "the peak; the warm-up rises here, theirs is flat"
    _set_learning_rate(conversion, rate * factor if rate else rate, remark)
    if f"{rate_option}" in parameters:
        value = conversion.config.get("training", {}).get("learning_rate")
        conversion.add_translated(f"{dotted}{rate_option}", {"training.learning_rate": value})
    steps = round(warmup * duration)
    conversion.set_keys(f"{dotted}warmup_steps", training={"warmup": steps})
    if duration == 1 or name in ("NoamDecay", "InvSqrtDecay", "RsqrtDecay"):
        conversion.add_translated("params.decay_step_duration", {"training.warmup": steps})
    else:
        conversion.add_refused("params.decay_step_duration", "a schedule counts updates")
    _report_other_parameters(conversion, name, parameters, rate_option)


def _width(conversion, default=512):
    return conversion.model.units if isinstance(conversion.model, Transformer) else default


def _report_other_parameters(conversion, name, parameters, rate_option):
    """Reports the decay parameters that the schedule does not have."""
    opennmt_config, dotted = conversion.opennmt_config, "params.decay_params."
    for option in parameters:
        key = dotted + str(option)
        if option in (rate_option, "warmup_steps"):
            continue
        if option == "model_dim" and name == "NoamDecay":
            conversion.add_same(key, "noam takes the model's own width")
        elif option in ("eta_min", "alpha", "initial_learning_rate"):
            value = opennmt_config.number(key)
            report = conversion.add_refused if value else conversion.add_same
            what = "a warm-up begins at 0" if option == "initial_learning_rate" else NO_FLOOR
            report(key, what)
        elif option in ("max_step", "decay_steps") and name.startswith("Cosine"):
            same = opennmt_config.number(key) == opennmt_config.number("train.max_step")
            report = conversion.add_same if same else conversion.add_refused
            report(key, "cosine ends at training.updates")
        elif name == "ExponentialDecay":
            conversion.add_refused(
                key, "exponential halves the rate five times in training's second half"
            )
        else:
            conversion.add_refused(key, "the schedule here has no such number")


# OpenNMT-tf layer -> prefix of the weight names in training.freeze.
_PARTS = (
    (r"(?:model/)?encoder", "encoder"),
    (r"(?:model/)?decoder", "decoder"),
    (r"(?:model/)?(encoder|decoder)/layers/(\d+)", r"\1/layers/\2"),
    (r"(?:model/)?decoder/output_layer", "head"),
    (r"(?:model/)?(?:examples_inputter/)?features_inputter", "source"),
    (r"(?:model/)?(?:examples_inputter/)?labels_inputter", "target"),
)


def freezing(conversion: ConfigConversion) -> None:
    """Translates the frozen layers into names for `training.freeze`."""
    key = "params.freeze_layers"
    layers = conversion.opennmt_config.strings(key)
    if not layers:
        conversion.add_same(key, "every layer is trained")
        return
    names = [_weight_prefix(layer) for layer in layers]
    known = [name for name in names if name]
    if not known:
        conversion.add_refused(key, "name weights in training.freeze")
        return
    frozen = [*conversion.config.get("training", {}).get("freeze", []), *known]
    missing = [layer for layer, name in zip(layers, names, strict=True) if not name]
    remark = f"without {', '.join(missing)}: name their weights yourself" if missing else ""
    conversion.set_keys(key, remark, training={"freeze": frozen})


def _weight_prefix(layer):
    for pattern, name in _PARTS:
        matched = re.fullmatch(pattern, layer.strip("/"))
        if matched:
            return matched.expand(name)
    return None
