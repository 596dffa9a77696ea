"""Translation of an OpenNMT-tf configuration, key by key."""

import dataclasses

import yaml

from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt import data, objectives, optimizer, training
from keras_s2s.importers.opennmt.conversion import ConfigConversion
from keras_s2s.importers.opennmt.opennmt_config import OpenNMTConfig, leaf_keys, merge
from keras_s2s.importers.opennmt.report import Report
from keras_s2s.importers.opennmt.static_keys import INACTIVE, REFUSED, SAME, SECTIONS

__all__ = ["STEPS", "to_yaml", "translate"]

STEPS = (
    data.corpora,
    data.tokenizers,
    data.embeddings,
    optimizer.freezing,
    optimizer.optimizer,
    optimizer.schedule,
    training.batches,
    training.lengths,
    training.evaluation,
    training.decoding,
    objectives.objectives,
)


def translate(
    opennmt_config: OpenNMTConfig, model: str | None = None, *, auto: bool = False
) -> tuple[dict, Report]:
    """Translates a configuration and reports the outcome for every key.

    Args:
        opennmt_config: the result of `read`.
        model: a `models.Transformer` or `models.Recurrent`; None leaves the section `model` out.
        auto: use the automatic values of the model type for missing keys; the key
            `auto_config` has the same effect.

    Returns:
        Nested dictionaries for `Config.from_dict`, and the report.

    Raises:
        UserError: an invalid value, with the key and its location, or a translated value that
            `Config.from_dict` refuses.
    """
    auto = auto or opennmt_config.flag("auto_config")
    if auto and model is None:
        raise UserError("--model-type: expected one for the automatic configuration, got none")
    conversion = ConfigConversion(
        _with_automatic(opennmt_config, model) if auto else opennmt_config, model
    )
    conversion.add_same(
        "model_dir", f"keras-s2s train CONFIG --run-dir {opennmt_config.get('model_dir')}"
    )
    conversion.add_same(
        "auto_config", "the values of the model type are written out" if auto else "off"
    )
    _model(conversion)
    for step in STEPS:
        step(conversion)
    _report_remaining_keys(conversion)
    try:
        Config.from_dict(conversion.config)
    except UserError as error:
        where = opennmt_config.locations.get("", "configuration")
        raise UserError(f"{where}: the translated configuration is invalid: {error}") from None
    conversion.report.drop_overridden_defaults()
    return conversion.config, conversion.report


def _with_automatic(opennmt_config, model):
    automatic = model.automatic()
    added = {key for key in leaf_keys(automatic) if not opennmt_config.has(key)}
    automatic_keys = {key for key in added if not _is_replaced(opennmt_config, key)}
    return OpenNMTConfig(
        merge(automatic, opennmt_config.raw), opennmt_config.locations, automatic_keys
    )


def _is_replaced(opennmt_config, key):
    """Whether the configuration holds a mapping that replaces this automatic value."""
    parent = key.rpartition(".")[0]
    return parent.count(".") > 0 and opennmt_config.has(parent)


def _model(conversion):
    source_end = data.ends_source(conversion)
    if conversion.model is None:
        return
    same = data.same_vocabulary(conversion.opennmt_config)
    section = conversion.model.section(same_vocabulary=same, source_end=source_end)
    conversion.config["model"] = section
    config = {"model.encoder.source_end": source_end}
    conversion.add_translated("data.source_sequence_controls.end", config)
    conversion.report.remarks.extend(f"model: {remark}" for remark in conversion.model.remarks())


def _report_remaining_keys(conversion):
    """Reports every key that no step has reported."""
    for table, report in ((SAME, conversion.add_same), (REFUSED, conversion.add_refused)):
        for key, phrase in table.items():
            report(key, phrase)
    reported = conversion.reported_keys()
    for key, inactive in INACTIVE.items():
        if key in reported:
            continue
        value = conversion.opennmt_config.get(key)
        if value is None or value in inactive.values:
            conversion.add_same(key, inactive.holds)
        else:
            conversion.add_refused(key, inactive.instead or inactive.holds)
    reported = conversion.reported_keys()
    for key in leaf_keys(conversion.opennmt_config.raw):
        parts = key.split(".")
        beginnings = {".".join(parts[:source_end]) for source_end in range(1, len(parts) + 1)}
        empty_section = key in SECTIONS and not conversion.opennmt_config.get(key)
        if not beginnings & reported and not empty_section:
            conversion.add_unknown(key, "neither OpenNMT-tf 2.32 nor keras-s2s has such a key")


def to_yaml(config: dict, report: Report, sources: str) -> str:
    """The YAML text of a translated configuration.

    Keys without a counterpart become comments at the top.

    Args:
        config, report: the results of `translate`.
        sources: names of the source files, for the first line.

    Returns:
        The text of a configuration file.
    """
    lines = [f"made of {sources} by keras-s2s import", *report.remarks]
    lines += report.untranslated_lines()
    order = [field.name for field in dataclasses.fields(Config)]
    ordered = {name: config[name] for name in order if name in config}
    text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)
    comments = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return comments + text
