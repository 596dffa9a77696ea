"""Training: from a configuration to a trained run directory.

`train` builds a session (tokenizers, corpus statistics, model, checkpoint), runs `fit` and keeps
`RUN/best` and `RUN/last`; called again it resumes from `RUN/last`. `train_tokenizers` trains the
tokenizers only. `dry_run` does everything up to the first update without writing a file.
`average_checkpoints` and `update_vocabulary` derive a run from others.
"""

from keras_s2s.training.defaults import complete
from keras_s2s.training.dry_run import dry_run
from keras_s2s.training.fit import train
from keras_s2s.training.run_tokenizers import train_tokenizers
from keras_s2s.training.run_transforms import average_checkpoints, update_vocabulary

rehearse = dry_run  # the name of the first edition, kept importable

__all__ = [
    "average_checkpoints",
    "complete",
    "dry_run",
    "rehearse",
    "train",
    "train_tokenizers",
    "update_vocabulary",
]
