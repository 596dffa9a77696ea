"""The configuration file as frozen dataclasses: YAML in, YAML out, every mistake named.

`Config.load` reads a file and applies overrides such as `training.updates=10`; `Config.save`
writes everything, defaults included. Nothing here needs TensorFlow.
"""

from keras_s2s.config.backend import choose_backend
from keras_s2s.config.config import Config
from keras_s2s.config.corpus import Corpus
from keras_s2s.config.data import Data
from keras_s2s.config.decoding import Decoding
from keras_s2s.config.export import Export
from keras_s2s.config.formats import is_frames
from keras_s2s.config.model import ModelConfig
from keras_s2s.config.noise import Noise
from keras_s2s.config.objectives import Objectives
from keras_s2s.config.special_ids import SpecialIds
from keras_s2s.config.subword_sampling import SubwordSampling
from keras_s2s.config.tensorboard import TensorBoard
from keras_s2s.config.tokenizer import TokenizerConfig
from keras_s2s.config.training import Training
from keras_s2s.config.vocabulary_sizes import FactorSizes, MultiSourceSize
from keras_s2s.errors import UserError
from keras_s2s.io import atomic_path, new_directory, write_atomically

__all__ = [
    "Config",
    "Corpus",
    "Data",
    "Decoding",
    "Export",
    "FactorSizes",
    "ModelConfig",
    "MultiSourceSize",
    "Noise",
    "Objectives",
    "SpecialIds",
    "SubwordSampling",
    "TensorBoard",
    "TokenizerConfig",
    "Training",
    "UserError",
    "atomic_path",
    "choose_backend",
    "is_frames",
    "new_directory",
    "write_atomically",
]
