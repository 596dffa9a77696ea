"""The example of the README, and the links of the pages."""

import re
from pathlib import Path

from keras_s2s.cli import _parser
from keras_s2s.signatures.fields import SIGNATURES

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def test_python_example_runs(tmp_path, monkeypatch, capsys):
    section = README.read_text().partition("\n## In Python\n")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    words = ["hello", "world", "hold", "well", "low", "dew"]
    lines = [f"{word}\t{' '.join(word).upper()}\n" for word in words]
    (tmp_path / "train.tsv").write_text("".join(lines))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), {})
    assert len(capsys.readouterr().out.splitlines()[-1].split("', '")) == 2


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_command_is_described():
    described = set(re.findall(r"(?m)^\| `([a-z-]+)", (ROOT / "docs" / "commands.md").read_text()))
    commands = next(action for action in _parser()._actions if action.choices).choices
    assert described - {"keras-s"} == set(commands)  # the table's head


def test_every_signature_is_described_with_what_it_takes():
    text = (ROOT / "docs" / "serving.md").read_text()
    for name, signature in SIGNATURES.items():
        assert f"| `{name}` |" in text
        missing = [one.name for one in signature.inputs if f"`{one.name}`" not in text]
        assert not missing, f"{name}: {missing}"
