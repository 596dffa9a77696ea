"""Code blocks of the pages in docs/."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def section(page: str, title: str) -> str:
    """The text of a page between a heading of level 2 and the next one."""
    text = (ROOT / "docs" / page).read_text()
    _, heading, rest = text.partition(f"\n## {title}\n")
    assert heading, f"docs/{page} has no section {title!r}"
    return rest.partition("\n## ")[0]


def code_blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_section(page: str, title: str, namespace: dict) -> None:
    """Runs the Python blocks of a section in one namespace."""
    for block in code_blocks(section(page, title), "python"):
        exec(compile(block, f"docs/{page}: {title}", "exec"), namespace)


def apply_edit(folder: Path, edit: str) -> int:
    """Applies a diff without line numbers to one file.

    Context lines and removed lines have to occur once in the file.

    Returns:
        the number of added lines.
    """
    header, *hunks = re.split(r"(?m)^@@\n", edit)
    path = folder / header.removeprefix("--- ").strip()
    text = path.read_text()
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] != "+")
        new = "".join(line[1:] for line in lines if line[0] != "-")
        assert text.count(old) == 1, f"{path}: expected this text once:\n{old}"
        text = text.replace(old, new)
    path.write_text(text)
    return sum(line.startswith("+") for line in edit.splitlines())
