"""Model cards of exports: origin, size, vocabularies, training scores and defaults."""

import datetime
import hashlib
import json
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from keras_s2s import __version__, checkpoints
from keras_s2s.config import Config
from keras_s2s.export.verification.request_corpus import first_run_directory
from keras_s2s.signatures.json_text import dump_json
from keras_s2s.tokenizers import RESERVED_TOKENS, Tokenizer
from keras_s2s.translator import Translator

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
MARKDOWN = "assets.extra/model_card.md"
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
SAMPLE_TOKENS = 8  # tokens of a vocabulary that the card lists
PACKAGES = ("tensorflow", "keras", "tensorflow-text", "numpy")


def describe_training_run(run: Path | str | list, checkpoint: str) -> dict[str, Any]:
    """Training facts of a run's checkpoint, as JSON values.

    Args:
        run: run directory, or the list of an ensemble, whose first run is described.
        checkpoint: `"best"` or `"last"`.

    Returns:
        A dict with `name`, `data`, `training` and `configuration`.

    Raises:
        UserError: `run` is not a run directory or has no such checkpoint.
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


def write_card(path: Path | str, translator: Translator, description: dict[str, Any]) -> None:
    """Builds the card of the export in the directory `path` and saves it there.

    Args:
        path: directory of the export, with all files in place.
        translator: the exported translator.
        description: further sections, see `describe_training_run`.
    """
    path = Path(path)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    save_card(path, build_card(translator, description, size))


def build_card(translator: Translator, description: dict[str, Any], size: int) -> dict[str, Any]:
    """Builds a model card as JSON values.

    Args:
        translator: the exported translator.
        description: further sections, see `describe_training_run`.
        size: bytes of the export.

    Returns:
        The sections of the card by name.
    """
    parameters = sum(int(weight.value.shape.num_elements()) for weight in translator.model.weights)
    tokenizers = {
        "source": translator.source_tokenizer,
        "target": translator.target_tokenizer,
        "shortlist": translator.shortlist,
    }
    return description | {
        "exported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sizes": {"parameters": parameters, "bytes": size},
        "vocabularies": {
            name: _describe_vocabulary(tokenizer)
            for name, tokenizer in tokenizers.items()
            if tokenizer is not None
        },
        "defaults": translator.defaults(),
        "limits": translator.caps,
        "versions": {"keras_s2s": __version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
    }


def save_card(path: Path | str, card: dict[str, Any]) -> None:
    """Writes a card into the directory `path`, as JSON and as Markdown."""
    path = Path(path)
    (path / CARD).parent.mkdir(exist_ok=True)
    (path / CARD).write_text(dump_json(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (path / MARKDOWN).write_text(_to_markdown(card), "utf-8")


def read_card(path: Path | str) -> dict[str, Any] | None:
    """Reads the card of an export's directory; None if there is no readable card."""
    try:
        card = json.loads((Path(path) / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def flatten_values(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flattens a nested dict.

    Args:
        values: JSON values.
        prefix: prepended to every name.

    Yields:
        (name with dots between the levels, text) of each value that is not empty.

    Example:
        >>> from keras_s2s.export.model_card import flatten_values
        >>> list(flatten_values({"sizes": {"bytes": 3}, "data": {}}))
        [('sizes.bytes', '3')]
    """
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten_values(value, f"{prefix}{name}.")
        elif value not in (None, "", [], {}):
            text = value if isinstance(value, str) else dump_json(value, ensure_ascii=False)
            yield prefix + name, text


def _describe_vocabulary(tokenizer: Tokenizer) -> dict[str, Any]:
    """Kind and size of a tokenizer, a digest of its tokens, and the first of them."""
    digest = hashlib.sha256("\n".join(tokenizer.vocabulary).encode()).hexdigest()
    tokens = list(tokenizer.vocabulary[len(RESERVED_TOKENS) :][:SAMPLE_TOKENS])
    return {"kind": tokenizer.kind, "size": tokenizer.size, "sha256": digest, "tokens": tokens}


def _to_markdown(card):
    sections = [f"# {card.get('name', 'A sequence-to-sequence model')}\n"]
    sections.append(f"Exported {card['exported']} by keras_s2s {card['versions']['keras_s2s']}.\n")
    for title in SECTIONS:
        if card.get(title):
            sections.append(f"## {title.capitalize()}\n\n{_to_table(card[title])}")
    return "\n".join(sections)


def _to_table(values):
    rows = [f"| {name} | {_escape(text)} |" for name, text in flatten_values(values)]
    return "\n".join(["| | |", "| --- | --- |", *rows]) + "\n"


def _escape(text):
    return text.replace("|", "\\|").replace("\n", " ")
