"""Output lines of translation results, as text or as JSON."""

from typing import Any

import numpy as np

from keras_s2s.serving.beam.ordered_output import Element, to_element
from keras_s2s.serving.beam.pipeline import Result
from keras_s2s.signatures.json_text import dump_json
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["hypothesis_to_dict", "render"]


def render(result: Result, inputs: list[str], output_format: str) -> list[Element]:
    """Returns the lines of a result as elements for `ordered_output.WriteInOrder`.

    Args:
        result: its key is the number of the file in `inputs`, from 0, and of the line, from 1.
        inputs: the input files. The target of a file has the same number; the target of the
            errors is last.
        output_format: `"text"` or `"jsonl"`.
    """
    file, number = result.key
    row: dict[str, Any] = {"file": inputs[file], "number": number, "source": result.text}
    if result.error:
        line = dump_json(row | {"error": result.error}, ensure_ascii=False)
        elements = [to_element(len(inputs), file, number, line)]
        if output_format == "text":
            elements.append(to_element(file, file, number, ""))
        return elements
    if output_format == "text":
        line = _join_with_tabs([hypothesis.text for hypothesis in result.hypotheses])
    else:
        row["hypotheses"] = [hypothesis_to_dict(hypothesis) for hypothesis in result.hypotheses]
        line = dump_json(row, ensure_ascii=False)
    return [to_element(file, file, number, line)]


def _join_with_tabs(texts: list[str]) -> str:
    """Joins texts by tabs, with separators inside a text replaced by spaces."""
    separators = "\r\n\t" if len(texts) > 1 else "\r\n"
    spaces = dict.fromkeys(map(ord, separators), " ")
    return "\t".join(text.translate(spaces) for text in texts)


def hypothesis_to_dict(hypothesis: Hypothesis) -> dict[str, Any]:
    """Returns the JSON object of a hypothesis."""
    return {
        "text": hypothesis.text,
        "score": _to_number(hypothesis.score),
        "log_prob": _to_number(hypothesis.log_prob),
        "tokens": list(hypothesis.tokens),
        "token_log_probs": [_to_number(value) for value in hypothesis.token_log_probs],
        "finished": hypothesis.finished,
    }


def _to_number(value: float) -> float | None:
    """Returns the shortest number that reads back as the same float32; None if infinite."""
    rounded = np.float32(value)
    return float(str(rounded)) if np.isfinite(rounded) else None
