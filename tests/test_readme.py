"""The README's own example, run as it stands."""

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def test_python_example_runs(tmp_path, monkeypatch, capsys):
    section = README.read_text().partition("\n## In Python\n")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    words = ["hello", "world", "hold", "well", "low", "dew"]
    lines = [f"{word}\t{' '.join(word).upper()}\n" for word in words]
    (tmp_path / "train.tsv").write_text("".join(lines))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), {})
    assert len(capsys.readouterr().out.splitlines()[-1].split("', '")) == 2
