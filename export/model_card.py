"""The model card of an export: what it was made from, how large it is and how good it was."""

import datetime
import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path

from keras_s2s import __version__, checkpoints
from keras_s2s.config import Config
from keras_s2s.export.verification.request_corpus import first_run_directory
from keras_s2s.tokenizers import RESERVED_TOKENS

__all__ = [
    "CARD",
    "build_card",
    "describe_training_run",
    "flatten_values",
    "read_card",
    "save_card",
    "write_card",
]

CARD = "assets.extra/model_card.json"
TEXT = "assets.extra/model_card.md"
SECTIONS = (
    "variant",
    "litert",
    "sizes",
    "vocabularies",
    "training",
    "data",
    "defaults",
    "limits",
    "versions",
    "configuration",
)
SHOWN = 8  # tokens of a vocabulary
PACKAGES = ("tensorflow", "keras", "tensorflow-text", "numpy")


def describe_training_run(run, checkpoint: str) -> dict:
    """What a run directory tells of its checkpoint, as JSON values.

    Raises:
        UserError: no run directory, or no such checkpoint in it.
    """
    run = first_run_directory(run)
    config, (_, state) = Config.from_run(run).to_dict(), checkpoints.load(run / checkpoint)
    training = {
        "checkpoint": checkpoint,
        "updates": state["step"],
        "averaged": state.get("averaged"),
        "metric": state.get("aim", {}).get("metric"),
        "best": state.get("best"),
        "best_updates": state.get("best_step"),
        "seconds": state.get("seconds"),
        "figures": state.get("figures"),
    }
    data = {name: config["data"][name] for name in ("train", "valid")}
    return {
        "name": run.absolute().name,
        "data": {name: value for name, value in data.items() if value},
        "training": {name: value for name, value in training.items() if value is not None},
        "configuration": config,
    }


def write_card(path, translator, about: dict) -> None:
    """Writes the card of the export in the directory `path`: JSON, and Markdown for people."""
    path = Path(path)
    files = [one for one in path.rglob("*") if one.is_file()]
    save_card(path, build_card(translator, about, sum(one.stat().st_size for one in files)))


def build_card(translator, about: dict, size: int) -> dict:
    """The card of an export of so many bytes, as JSON values."""
    parameters = sum(int(weight.value.shape.num_elements()) for weight in translator.model.weights)
    return about | {
        "exported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sizes": {"parameters": parameters, "bytes": size},
        "vocabularies": {
            side: _vocabulary(tokenizer)
            for side, tokenizer in (
                ("source", translator.source_tokenizer),
                ("target", translator.target_tokenizer),
                ("shortlist", translator.shortlist),
            )
            if tokenizer is not None
        },
        "defaults": translator.defaults(),
        "limits": translator.caps,
        "versions": {"keras_s2s": __version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
    }


def save_card(path, card: dict) -> None:
    """Writes a card that is made into the directory `path`."""
    path = Path(path)
    (path / CARD).parent.mkdir(exist_ok=True)
    (path / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (path / TEXT).write_text(_markdown(card), "utf-8")


def read_card(path) -> dict | None:
    """The card of an export's directory; None where there is none that can be read."""
    try:
        card = json.loads((Path(path) / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def _vocabulary(tokenizer):
    """Kind and size of a tokenizer, the digest of its tokens, and some of them."""
    digest = hashlib.sha256("\n".join(tokenizer.vocabulary).encode()).hexdigest()
    first = list(tokenizer.vocabulary[len(RESERVED_TOKENS) :][:SHOWN])
    return {"kind": tokenizer.kind, "size": tokenizer.size, "sha256": digest, "tokens": first}


def _markdown(card):
    sections = [f"# {card.get('name', 'A sequence-to-sequence model')}\n"]
    sections.append(f"Exported {card['exported']} by keras_s2s {card['versions']['keras_s2s']}.\n")
    for title in SECTIONS:
        if card.get(title):
            sections.append(f"## {title.capitalize()}\n\n{_table(card[title])}")
    return "\n".join(sections)


def _table(values):
    rows = [f"| {name} | {_cell(value)} |" for name, value in flatten_values(values)]
    return "\n".join(["| | |", "| --- | --- |", *rows]) + "\n"


def flatten_values(values: dict, before: str = ""):
    """(name with dots between, text) of what is in a nested dict, without what is empty."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten_values(value, f"{before}{name}.")
        elif value not in (None, "", [], {}):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield before + name, text


def _cell(text):
    return text.replace("|", "\\|").replace("\n", " ")
