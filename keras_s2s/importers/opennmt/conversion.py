"""State of the conversion of one OpenNMT-tf configuration."""

from typing import Any

from keras_s2s.importers.opennmt.opennmt_config import OpenNMTConfig
from keras_s2s.importers.opennmt.report import Report, TranslatedKey, UntranslatedKey

__all__ = ["ConfigConversion"]

AUTOMATIC = " (auto_config)"


class ConfigConversion:
    """Configuration and report under construction, shared by the conversion steps.

    Args:
        theirs: the configuration of OpenNMT-tf.
        model: the model type, a `models.Transformer` or `models.Recurrent`, or None.

    Attributes:
        ours: the resulting configuration as nested dictionaries.
        report: the outcome for every key of OpenNMT-tf.
    """

    def __init__(self, opennmt_config: OpenNMTConfig, model: str | None = None):
        self.opennmt_config, self.model = opennmt_config, model
        self.config, self.report = {}, Report()

    def set_keys(self, key: str, remark: str = "", **sections: Any) -> None:
        """Sets keys of the resulting configuration and reports the key they come from.

        Args:
            of: the dotted key of OpenNMT-tf; where it is missing, its default is reported.
            remark: how the two differ.
            **sections: section={key: value}.
        """
        config_keys = {}
        for section, values in sections.items():
            self.config.setdefault(section, {}).update(values)
            config_keys |= {f"{section}.{key}": value for key, value in values.items()}
        self.add_translated(key, config_keys, remark)

    def add_translated(self, key: str, config_keys: dict, remark: str = "") -> None:
        """Reports a translated key whose counterparts are set elsewhere.

        Args:
            key: the dotted key of OpenNMT-tf.
            config_keys: dotted keys of the resulting configuration and their values.
            remark: how the two differ.
        """
        if self.opennmt_config.has(key):
            self.report.translated.append(TranslatedKey(*self._row(key), config_keys, remark))
        else:
            self.report.defaults.update(config_keys)

    def add_same(self, key: str, reason: str) -> None:
        """Reports that the behaviour of a key is built in; no effect if the key is missing."""
        if self.opennmt_config.has(key):
            self.report.same.append(UntranslatedKey(*self._row(key), reason))

    def add_refused(self, key: str, reason: str) -> None:
        """Reports that a key has no counterpart; no effect if the key is missing."""
        if self.opennmt_config.has(key):
            self.report.refused.append(UntranslatedKey(*self._row(key), reason))

    def add_unknown(self, key: str, reason: str) -> None:
        """Reports a key that neither toolkit defines."""
        self.report.unknown.append(UntranslatedKey(*self._row(key), reason))

    def reported_keys(self) -> set[str]:
        """The dotted keys of OpenNMT-tf that the report lists."""
        return {key.removesuffix(AUTOMATIC) for key in self.report.reported_keys()}

    def _row(self, key):
        label = key + AUTOMATIC if key in self.opennmt_config.automatic else key
        return label, self.opennmt_config.get(key)
