"""One translation under way: their configuration, ours as it grows, and what was said."""

from keras_s2s.importers.opennmt.opennmt_config import Theirs
from keras_s2s.importers.opennmt.report import Report, Said, Translated

__all__ = ["Job"]

AUTOMATIC = " (auto_config)"


class Job:
    """What the steps of a translation share.

    Args:
        theirs: their configuration.
        model: their model type, a `models.Transformer` or `models.Recurrent`, or None.

    Attributes:
        ours: our configuration as nested dictionaries.
        report: what was said of their keys.
    """

    def __init__(self, theirs: Theirs, model=None):
        self.theirs, self.model = theirs, model
        self.ours, self.report = {}, Report()

    def put(self, of: str, remark: str = "", **sections) -> None:
        """Sets keys of ours that a key of theirs, or its default, asks for.

        Args:
            of: their dotted key.
            remark: how the two differ.
            **sections: section={key: value}.
        """
        flat = {}
        for section, values in sections.items():
            self.ours.setdefault(section, {}).update(values)
            flat |= {f"{section}.{key}": value for key, value in values.items()}
        self.say(of, flat, remark)

    def say(self, of: str, flat: dict, remark: str = "") -> None:
        """As `put`, of dotted keys of ours that are set elsewhere."""
        if self.theirs.has(of):
            self.report.translated.append(Translated(*self._row(of), flat, remark))
        else:
            self.report.defaults.update(flat)

    def same(self, key: str, phrase: str) -> None:
        """Says that a key asks for what holds here anyway; nothing where it is not written."""
        if self.theirs.has(key):
            self.report.same.append(Said(*self._row(key), phrase))

    def refuse(self, key: str, phrase: str) -> None:
        """Says that a key has no counterpart; nothing where it is not written."""
        if self.theirs.has(key):
            self.report.refused.append(Said(*self._row(key), phrase))

    def unknown(self, key: str, phrase: str) -> None:
        """Says that nobody knows a key."""
        self.report.unknown.append(Said(*self._row(key), phrase))

    def spoken(self) -> set[str]:
        """The dotted keys that something was said of."""
        return {key.removesuffix(AUTOMATIC) for key in self.report.spoken()}

    def _row(self, key):
        shown = key + AUTOMATIC if key in self.theirs.automatic else key
        return shown, self.theirs.get(key)
