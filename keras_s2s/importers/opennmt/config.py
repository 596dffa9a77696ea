"""An OpenNMT-tf configuration as ours, key by key."""

import dataclasses

import yaml

from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt import data, objectives, optimizer, training
from keras_s2s.importers.opennmt.conversion import Job
from keras_s2s.importers.opennmt.opennmt_config import Theirs, leaves, merge
from keras_s2s.importers.opennmt.report import Report
from keras_s2s.importers.opennmt.unused_keys import IDLE, REFUSED, SAME, SECTIONS

__all__ = ["STEPS", "translate", "written"]

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


def translate(theirs: Theirs, model=None, *, auto: bool = False) -> tuple[dict, Report]:
    """Our configuration, and what became of every key of theirs.

    Args:
        theirs: as `read` gives it.
        model: a `models.Transformer` or `models.Recurrent`; None leaves our model section out.
        auto: take the model type's automatic values for keys that are left out; the key
            `auto_config` does so too.

    Returns:
        nested dictionaries for `Config.from_dict`, and the report.

    Raises:
        UserError: naming the key and where it stands, or what our configuration refuses.
    """
    auto = auto or theirs.flag("auto_config")
    if auto and model is None:
        raise UserError("--model-type: expected one for the automatic configuration, came none")
    job = Job(_with_automatic(theirs, model) if auto else theirs, model)
    job.same("model_dir", f"keras-s2s train CONFIG --run-dir {theirs.get('model_dir')}")
    job.same("auto_config", "the values of the model type are written out" if auto else "off")
    _model(job)
    for step in STEPS:
        step(job)
    _say_others(job)
    try:
        Config.from_dict(job.ours)
    except UserError as error:
        where = theirs.places.get("", "configuration")
        raise UserError(f"{where}: translated to what does not do: {error}") from None
    job.report.settle()
    return job.ours, job.report


def _with_automatic(theirs, model):
    automatic = model.automatic()
    mine = {key for key in leaves(automatic) if not theirs.has(key)}
    kept = {key for key in mine if not _replaced(theirs, key)}
    return Theirs(merge(automatic, theirs.raw), theirs.places, kept)


def _replaced(theirs, key):
    """Whether a mapping that is never merged stands where this automatic value would."""
    parent = key.rpartition(".")[0]
    return parent.count(".") > 0 and theirs.has(parent)


def _model(job):
    end = data.ends_source(job)
    if job.model is None:
        return
    same = data.same_vocabulary(job.theirs)
    section = job.model.section(same_vocabulary=same, source_end=end)
    job.ours["model"] = section
    ours = {"model.encoder.source_end": end}
    job.say("data.source_sequence_controls.end", ours)
    job.report.remarks.extend(f"model: {remark}" for remark in job.model.remarks())


def _say_others(job):
    """Every key that no step spoke of."""
    for table, say in ((SAME, job.same), (REFUSED, job.refuse)):
        for key, phrase in table.items():
            say(key, phrase)
    spoken = job.spoken()
    for key, idle in IDLE.items():
        if key in spoken:
            continue
        value = job.theirs.get(key)
        if value is None or value in idle.values:
            job.same(key, idle.holds)
        else:
            job.refuse(key, idle.instead or idle.holds)
    spoken = job.spoken()
    for key in leaves(job.theirs.raw):
        parts = key.split(".")
        beginnings = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        empty_section = key in SECTIONS and not job.theirs.get(key)
        if not beginnings & spoken and not empty_section:
            job.unknown(key, "neither OpenNMT-tf 2.32 nor keras-s2s has such a key")


def written(ours: dict, report: Report, sources: str) -> str:
    """The YAML text of a translated configuration.

    What has no counterpart stands as comments at its top.

    Args:
        ours, report: as `translate` gives them.
        sources: what it was made of, for the first line.
    """
    lines = [f"made of {sources} by keras-s2s import", *report.remarks]
    lines += report.without_counterpart()
    order = [field.name for field in dataclasses.fields(Config)]
    ordered = {name: ours[name] for name in order if name in ours}
    text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)
    comments = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return comments + text
