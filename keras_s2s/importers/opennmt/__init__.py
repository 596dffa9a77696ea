"""OpenNMT-tf: its configurations, and its models.

`read` and `translate` make our configuration of its YAML files and need no TensorFlow;
`runs.import_run` makes a run directory of its model directory.
"""

from keras_s2s.importers.opennmt.config import translate, written
from keras_s2s.importers.opennmt.opennmt_config import Theirs, read

__all__ = ["Theirs", "read", "translate", "written"]
