"""Formatting of hypotheses as text, tab-separated columns or JSON."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_s2s import signatures
from keras_s2s.cli.text_streams import on_one_line
from keras_s2s.signatures.json_text import dump_json

if TYPE_CHECKING:
    from keras_s2s.signatures import Hypothesis

__all__ = [
    "ALIGNMENTS",
    "FORMATS",
    "add_output_options",
    "format_hypotheses",
    "hypothesis_as_dict",
    "shortest_float",
]

FORMATS = ("text", "tsv", "json")
ALIGNMENTS = ("none", "soft", "hard", "pharaoh")
TABS = "\t\r\n"


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the output format."""
    group = parser.add_argument_group("output")
    add_format_options(group, "tsv: columns line, rank, score, log_prob, text, tokens, alignment")
    group.add_argument("--scores", action="store_true", help="text: a score before every text")
    group.add_argument(
        "--with-tokens", action="store_true", help="text, tsv: the tokens behind every text"
    )
    group.add_argument(
        "--alignment",
        choices=ALIGNMENTS,
        default="none",
        help="the attention of each target token: weights of all source tokens, the position of the"
        " largest weight, or SOURCE-TARGET pairs of positions, from 0 (default: none)",
    )


def add_format_options(
    group: argparse._ActionsContainer, columns: str, default: str = "text"
) -> None:
    """Adds `--format` and `--json`; `columns` is the help text of the tsv columns."""
    group.add_argument("--format", choices=FORMATS, default=default, help=columns)
    group.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="a JSON object a line, as --format json",
    )


def format_hypotheses(
    number: int, source: Any, hypotheses: Sequence, arguments: argparse.Namespace, error: str = ""
) -> list[str]:
    """Formats the hypotheses of one source.

    Args:
        number: line number in the input, from 1.
        source: the source text, or features [S, F].
        hypotheses: list of `Hypothesis`, best first.
        arguments: parsed options of `add_output_options`.
        error: error message of the source, or "".

    Returns:
        A list of lines: one for text (even without a hypothesis) and JSON, one per hypothesis
        for tsv.
    """
    if arguments.format == "json":
        rows = [hypothesis_as_dict(h, arguments.alignment) for h in hypotheses]
        text = source if isinstance(source, str) else f"{len(source)} frames"
        row = {"source": text, "hypotheses": rows}
        if arguments.alignment != "none" and hypotheses:
            row["source_tokens"] = list(hypotheses[0].source_tokens)
        row |= {"error": error} if error else {}
        return [dump_json(row, ensure_ascii=False)]
    if arguments.format == "tsv":
        return [
            "\t".join(
                [
                    str(number),
                    str(rank),
                    f"{h.score:.4f}",
                    f"{h.log_prob:.4f}",
                    *_cells(h, arguments),
                ]
            )
            for rank, h in enumerate(hypotheses, 1)
        ]
    return [_format_text(hypotheses, arguments)]


def _format_text(hypotheses, arguments):
    plain = not (arguments.scores or arguments.with_tokens or arguments.alignment != "none")
    if plain and len(hypotheses) == 1:
        return on_one_line(hypotheses[0].text)  # a single cell may contain tabs
    cells = []
    for h in hypotheses:
        cells += [f"{h.score:.4f}"] if arguments.scores else []
        cells += _cells(h, arguments)
    return "\t".join(cells)


def _cells(hypothesis, arguments):
    cells = [hypothesis.text]
    if arguments.with_tokens:
        cells.append(" ".join(hypothesis.tokens))
    if arguments.alignment != "none":
        cells.append(_format_alignment(hypothesis, arguments.alignment))
    return [on_one_line(cell, TABS) for cell in cells]


def hypothesis_as_dict(hypothesis: "Hypothesis", alignment: str = "none") -> dict:
    """Converts a hypothesis to a JSON object."""
    row = {
        "text": hypothesis.text,
        "score": shortest_float(hypothesis.score),
        "log_prob": shortest_float(hypothesis.log_prob),
        "tokens": list(hypothesis.tokens),
        "token_log_probs": [shortest_float(x) for x in hypothesis.token_log_probs],
        "finished": hypothesis.finished,
    }
    if alignment == "soft":
        row["alignment"] = [[round(float(x), 6) for x in line] for line in hypothesis.alignment]
    elif alignment == "hard":
        row["alignment"] = _hard_alignment(hypothesis)
    elif alignment == "pharaoh":
        row["alignment"] = _format_alignment(hypothesis, alignment)
    return row


def shortest_float(value: float) -> float | None:
    """Returns the shortest float that rounds to the same float32; None if it is not finite."""
    import numpy as np

    value = np.float32(value)
    return float(str(value)) if np.isfinite(value) else None


def _hard_alignment(hypothesis):
    positions = {
        target: source for source, target in signatures.hard_alignment(hypothesis.alignment)
    }
    return [positions.get(target, -1) for target in range(len(hypothesis.tokens))]


def _format_alignment(hypothesis, kind):
    """Formats an alignment as one cell."""
    if kind == "pharaoh":
        return " ".join(
            f"{source}-{target}"
            for source, target in signatures.hard_alignment(hypothesis.alignment)
        )
    if kind == "hard":
        return " ".join(map(str, _hard_alignment(hypothesis)))
    return " ".join(",".join(f"{x:.4f}" for x in line) for line in hypothesis.alignment)
