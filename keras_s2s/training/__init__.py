"""From a configuration to a trained run directory.

`train` makes the tokenizers, surveys the corpora, builds and compiles the model, runs `fit` and
keeps `RUN/best` and `RUN/last`; called again it goes on from `RUN/last`. `train_tokenizers` does
the first of these steps alone, `dry_run` all of them up to one update and without a file;
`average_checkpoints` and `update_vocabulary` make runs of others.
"""

from keras_s2s.training.defaults import complete
from keras_s2s.training.dry_run import dry_run
from keras_s2s.training.fit import train
from keras_s2s.training.run_tokenizers import train_tokenizers
from keras_s2s.training.run_transforms import average_checkpoints, update_vocabulary

__all__ = [
    "average_checkpoints",
    "complete",
    "dry_run",
    "train",
    "train_tokenizers",
    "update_vocabulary",
]
