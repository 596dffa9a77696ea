"""The attention page as one self-contained HTML file."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from keras_s2s.tensorboard.attention_records import AttentionRecord, label, pack

__all__ = ["html"]

PAGE = Path(__file__).parent / "page"
MODULES = (  # each imports only earlier ones
    *("dom", "format", "theme", "source", "bipartite", "matrix"),
    *("heads", "picture", "panel", "controls", "app", "main"),
)
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)


def html(records: Iterable) -> str:
    """Returns an HTML file with the page and the given records, without network access.

    Args:
        records: list of `AttentionRecord`, or of `(run, tag, step, record)` for several runs or
            steps of a sentence. Plain records become sentences of one run at step 0.

    Returns:
        The text of the file, to be written as UTF-8. Its content security policy allows only its
        own script and style, and the text of records is escaped.

    Raises:
        ValueError: if there are no records, or an entry has neither form.
    """
    entries = [_entry(number, record) for number, record in enumerate(records)]
    if not entries:
        raise ValueError("records: expected at least one, got none")
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


def _entry(number, entry):
    """Returns a record in the format that the page reads (source.js)."""
    if isinstance(entry, AttentionRecord):
        entry = ("attention", f"sentence {number + 1}", 0, entry)
    try:
        run, tag, step, record = entry
        name = label(record)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            "records: expected AttentionRecord or (run, tag, step, AttentionRecord), "
            f"got {entry!r:.200}"
        ) from error
    data = base64.b64encode(pack(record)).decode()
    return {"run": str(run), "tag": str(tag), "label": name, "step": int(step), "data": data}


def _script():
    """Concatenates the modules of the page in the order of their imports."""
    parts = ((PAGE / f"{name}.js").read_text("utf-8") for name in MODULES)
    return "\n".join(EXPORT.sub("", IMPORT.sub("", part)) for part in parts)


def _line(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def _hash(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(policy):
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
