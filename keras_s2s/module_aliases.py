"""Import names of version 0.1 for modules that have moved since.

`import keras_s2s.catalog`, `from keras_s2s.model import Seq2Seq` and
`python -m keras_s2s.serving.pipeline` find the module at its new place. Both names give one
module object.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import CodeType, ModuleType

__all__ = ["MODULE_ALIASES", "install"]

MODULE_ALIASES = {
    "catalog": "models",
    "convolutions": "layers.convolutions",
    "coverage": "metrics.tokenizer_coverage",
    "embeddings": "layers",
    "ensembles": "models.ensemble",
    "evaluation": "metrics.evaluation",
    "linear": "layers",
    "masks": "layers.masks",
    "model": "models.seq2seq",
    "objectives": "losses.criterion",
    "recurrent": "layers.recurrent",
    "transformer": "layers",
    "updates": "models.training_step",
    "vectors": "layers.features",
    "cli.quiet": "cli.tensorflow_logging",
    "export.litert_file": "export.litert.converter",
    "export.litert_graphs": "export.litert.signature_functions",
    "serving.codec": "serving.tensor_codec",
    "serving.local": "serving.server.local_model",
    "serving.pipeline": "serving.beam.pipeline",
    "serving.results": "serving.client.metadata",
    "serving.versions": "serving.server.versions",
    "tensorboard.records": "tensorboard.attention_records",
}


class _AliasLoader(importlib.abc.InspectLoader):
    """Loads the module at the new name as the module of the old name."""

    def __init__(self, target: str):
        self.target = target

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.target)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has put the alias' spec there

    def get_code(self, fullname: str) -> CodeType:
        """The code that `python -m` runs."""
        return importlib.util.find_spec(self.target).loader.get_code(self.target)

    def get_source(self, fullname: str) -> str | None:
        return importlib.util.find_spec(self.target).loader.get_source(self.target)

    def is_package(self, fullname: str) -> bool:
        return False


class _AliasFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of `MODULE_ALIASES` in a package."""

    def __init__(self, package: str):
        self.package = package

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        if package != self.package or name not in MODULE_ALIASES:
            return None
        loader = _AliasLoader(f"{package}.{MODULE_ALIASES[name]}")
        return importlib.machinery.ModuleSpec(fullname, loader)


def install(package: str) -> None:
    """Lets the old module names of a package be imported; does nothing the second time."""
    installed = (finder for finder in sys.meta_path if isinstance(finder, _AliasFinder))
    if all(finder.package != package for finder in installed):
        sys.meta_path.insert(0, _AliasFinder(package))  # before empty folders of old checkouts
