"""Hypotheses as lines: plain text, tab-separated columns or JSON objects."""

import json

from keras_s2s.cli.text_streams import on_one_line

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


def add_output_options(parser) -> None:
    """Adds what the lines that come out hold."""
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
        help="which source token each token looks at: its weights on all, the place of the most"
        " weight, or SOURCE-TARGET pairs of places, from 0 (default: none)",
    )


def add_format_options(group, columns, default="text") -> None:
    """Adds `--format` and `--json`; `columns` says what those of tsv are."""
    group.add_argument("--format", choices=FORMATS, default=default, help=columns)
    group.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="a JSON object a line, as --format json",
    )


def format_hypotheses(number, source, hypotheses, arguments, error="") -> list[str]:
    """The lines for one source, as `arguments` ask.

    Args:
        number: of the line in the input, from 1.
        source: its text, or its frames.
        hypotheses: its `Hypothesis` objects, best first.
        arguments: what `add_output_options` made.
        error: why there are none, or "".

    Returns:
        One line as text, also without a hypothesis, and as JSON; as tsv one for each hypothesis.
    """
    if arguments.format == "json":
        found = [hypothesis_as_dict(h, arguments.alignment) for h in hypotheses]
        shown = source if isinstance(source, str) else f"{len(source)} frames"
        row = {"source": shown, "hypotheses": found}
        if arguments.alignment != "none" and hypotheses:
            row["source_tokens"] = list(hypotheses[0].source_tokens)
        row |= {"error": error} if error else {}
        return [json.dumps(row, ensure_ascii=False)]
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
    return [_text(hypotheses, arguments)]


def _text(hypotheses, arguments):
    plain = not (arguments.scores or arguments.with_tokens or arguments.alignment != "none")
    if plain and len(hypotheses) == 1:
        return on_one_line(hypotheses[0].text)  # the only cell: tabs do no harm
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
        cells.append(_aligned(hypothesis, arguments.alignment))
    return [on_one_line(cell, TABS) for cell in cells]


def hypothesis_as_dict(hypothesis, alignment="none") -> dict:
    """A hypothesis as JSON has it, with its alignment if that is not `none`."""
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
        row["alignment"] = _hard(hypothesis)
    elif alignment == "pharaoh":
        row["alignment"] = _aligned(hypothesis, alignment)
    return row


def shortest_float(value) -> float | None:
    """A float32 as the shortest number that reads back as it; None, JSON's null, if infinite."""
    import numpy as np

    value = np.float32(value)
    return float(str(value)) if np.isfinite(value) else None


def _hard(hypothesis):
    from keras_s2s.signatures.responses import hard_alignment

    places = {target: source for source, target in hard_alignment(hypothesis.alignment)}
    return [places.get(target, -1) for target in range(len(hypothesis.tokens))]


def _aligned(hypothesis, kind):
    """An alignment as one cell."""
    from keras_s2s.signatures.responses import hard_alignment

    if kind == "pharaoh":
        return " ".join(
            f"{source}-{target}" for source, target in hard_alignment(hypothesis.alignment)
        )
    if kind == "hard":
        return " ".join(map(str, _hard(hypothesis)))
    return " ".join(",".join(f"{x:.4f}" for x in line) for line in hypothesis.alignment)
