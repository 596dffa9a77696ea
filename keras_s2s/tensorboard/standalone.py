"""The attention page as one HTML file that needs nothing else, to be mailed or kept."""

import base64
import hashlib
import json
import re
from pathlib import Path

from keras_s2s.tensorboard.attention_records import AttentionRecord, label, pack

__all__ = ["html"]

PAGE = Path(__file__).parent / "page"
MODULES = (  # each imports only what stands before it
    *("dom", "format", "theme", "source", "bipartite", "matrix"),
    *("heads", "picture", "panel", "controls", "app", "main"),
)
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)


def html(records) -> str:
    """One HTML file with the page and these records in it; it loads and sends nothing.

    Args:
        records: a list of `AttentionRecord`, or of `(run, tag, step, record)` for several runs
            or steps of a sentence; records alone become sentences of one run at step 0.

    Returns:
        The text of the file, to be written as UTF-8. Its policy allows its own script and style
        alone, and no text of a record can end the element that holds it.

    Raises:
        ValueError: there are no records, or an entry is neither form.
    """
    entries = [_entry(number, given) for number, given in enumerate(records)]
    if not entries:
        raise ValueError("records: expected at least one, came none")
    script, style = _script(), (PAGE / "style.css").read_text("utf-8")
    data = json.dumps(entries).replace("<", "\\u003c")
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}"
    policy += "; img-src data: blob:; base-uri 'none'; form-action 'none'"
    text = (PAGE / "index.html").read_text("utf-8")
    for old, new in (
        ('<meta charset="utf-8">', f'<meta charset="utf-8">\n{_policy(policy)}'),
        (_line(text, "<link id="), f'<style id="attention-style">{style}</style>'),
        (
            _line(text, "<script "),
            f'<script id="attention-data" type="application/json">{data}</script>\n'
            f'<script type="module">{script}</script>',
        ),
    ):
        text = text.replace(old, new)
    return text


def _entry(number, given):
    """One record as the page reads it (source.js)."""
    if isinstance(given, AttentionRecord):
        given = ("attention", f"sentence {number + 1}", 0, given)
    try:
        run, tag, step, record = given
        name = label(record)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            "records: expected AttentionRecord or (run, tag, step, AttentionRecord), "
            f"came {given!r:.200}"
        ) from error
    data = base64.b64encode(pack(record)).decode()
    return {"run": str(run), "tag": str(tag), "label": name, "step": int(step), "data": data}


def _script():
    """The modules of the page as one, in the order in which they need each other."""
    parts = ((PAGE / f"{name}.js").read_text("utf-8") for name in MODULES)
    return "\n".join(EXPORT.sub("", IMPORT.sub("", part)) for part in parts)


def _line(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def _hash(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(policy):
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
