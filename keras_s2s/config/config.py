"""The whole configuration file."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from keras_s2s.config.data import Data
from keras_s2s.config.decoding import Decoding
from keras_s2s.config.export import Export
from keras_s2s.config.model import ModelConfig
from keras_s2s.config.parsing import parse
from keras_s2s.config.training import Training
from keras_s2s.config.validation import Section
from keras_s2s.config.yaml_files import apply_override, read_yaml
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically

__all__ = ["Config"]


@dataclass(frozen=True)
class Config(Section):
    """The whole configuration file, one field per section.

    Example:

    >>> from keras_s2s.config import Config
    >>> config = Config.from_dict({"training": {"updates": 800}})
    >>> config.training.updates, config.data.max_length
    (800, 100)
    """

    data: Data = field(default_factory=Data)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: Training = field(default_factory=Training)
    decoding: Decoding = field(default_factory=Decoding)
    export: Export = field(default_factory=Export)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_objectives()
        for name, cap in self.export.caps().items():
            value = getattr(self.decoding, name)
            if value > cap:
                key = "max_beam_size" if name == "beam_size" else name
                self.decoding.fail(name, f"expected at most export.{key}, {cap}, got {value}")

    def _check_objectives(self) -> None:
        uses_alignments = self.training.objectives.guided_alignment
        if uses_alignments and self.data.train is not None and not self.data.has_alignments:
            expected = "expected a corpus of data.train with alignments"
            self.fail("training.objectives.guided_alignment", f"{expected}, got none")

    @classmethod
    def load(cls, path: Path | str, overrides: Sequence[str] = ()) -> "Config":
        """Reads a YAML file and applies overrides.

        Args:
            path: the file.
            overrides: texts `section.key=value`; the value is read as YAML.

        Raises:
            UserError: an invalid value or an unknown key, with the file and line or the override,
                the key, what is expected, and for an unknown key the nearest one.
        """
        raw, locations = read_yaml(path)
        for text in overrides:
            apply_override(raw, locations, text)
        return parse(cls, raw, locations)

    @classmethod
    def from_run(cls, run: Path | str) -> "Config":
        """Reads the `config.yml` of a run directory.

        Raises:
            UserError: as `load`; or `run` is not a run directory.
        """
        run = Path(run)
        path = run / "config.yml"
        if not path.exists():
            actual = "a file" if run.is_file() else "a path that does not exist"
            actual = "a folder without config.yml" if run.is_dir() else actual
            raise UserError(f"{run}: expected a run directory of keras-s2s train, got {actual}")
        return cls.load(path)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "Config":
        """The inverse of `to_dict`; missing keys take their defaults."""
        return parse(cls, raw, {})

    def to_dict(self) -> dict[str, Any]:
        """Every key with its value, as nested dictionaries."""
        return dataclasses.asdict(self)

    def save(self, path: Path | str) -> None:
        """Writes every key to a YAML file; an interrupted write keeps the old file."""
        write_atomically(path, self.dump(self.to_dict()))

    @staticmethod
    def dump(raw: dict[str, Any]) -> str:
        """The text of the YAML file of `to_dict`."""
        return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=100)
