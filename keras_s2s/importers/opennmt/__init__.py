"""Import of OpenNMT-tf configurations and models.

`read` and `translate` convert YAML files of OpenNMT-tf into a configuration of this package and
need no TensorFlow; `run_import.import_run` converts a model directory into a run directory.
"""

from keras_s2s.importers.opennmt.config_translation import to_yaml, translate
from keras_s2s.importers.opennmt.opennmt_config import OpenNMTConfig, read

# Names of earlier releases.
Theirs = OpenNMTConfig
written = to_yaml

__all__ = ["OpenNMTConfig", "Theirs", "read", "to_yaml", "translate", "written"]
