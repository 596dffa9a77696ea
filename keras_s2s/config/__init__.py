"""The configuration file as frozen dataclasses.

`Config.load` reads a YAML file and applies overrides such as `training.updates=10`; `Config.save`
writes every key, defaults included. Errors name the file, the line and the key. This package does
not import TensorFlow.
"""

from keras_s2s.config.backend import choose_backend
from keras_s2s.config.config import Config
from keras_s2s.config.corpus import Corpus
from keras_s2s.config.data import Data
from keras_s2s.config.decoding import Decoding
from keras_s2s.config.export import Export
from keras_s2s.config.formats import is_feature_file
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

# Names of the first edition, kept importable.
from keras_s2s.io import atomic_path as replacing
from keras_s2s.io import new_directory as making
from keras_s2s.io import write_atomically as replace_file

is_frames = is_feature_file
PartedSize = MultiSourceSize
Sampling = SubwordSampling

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
    "PartedSize",
    "Sampling",
    "SpecialIds",
    "SubwordSampling",
    "TensorBoard",
    "TokenizerConfig",
    "Training",
    "UserError",
    "choose_backend",
    "is_feature_file",
    "is_frames",
    "making",
    "replace_file",
    "replacing",
]
