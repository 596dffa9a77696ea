"""The configuration file as frozen dataclasses: YAML in, YAML out, every mistake named.

`Config.load` reads a file and applies overrides such as `training.updates=10`; `Config.save`
writes everything, defaults included. Nothing here needs TensorFlow.
"""

from keras_s2s.config.decoding import Decoding
from keras_s2s.config.formats import is_frames
from keras_s2s.config.objectives import Noise, Objectives
from keras_s2s.config.sections import (
    Config,
    Corpus,
    Data,
    Export,
    ModelConfig,
    SpecialIds,
    Training,
)
from keras_s2s.config.tensorboard import TensorBoard
from keras_s2s.config.tokenizer import FactorSizes, PartedSize, Sampling, TokenizerConfig
from keras_s2s.config.validation import UserError, choose_backend
from keras_s2s.config.yaml_files import making, replace_file, replacing

__all__ = [
    "Config",
    "Corpus",
    "Data",
    "Decoding",
    "Export",
    "FactorSizes",
    "ModelConfig",
    "Noise",
    "Objectives",
    "PartedSize",
    "Sampling",
    "SpecialIds",
    "TensorBoard",
    "TokenizerConfig",
    "Training",
    "UserError",
    "choose_backend",
    "is_frames",
    "making",
    "replace_file",
    "replacing",
]
