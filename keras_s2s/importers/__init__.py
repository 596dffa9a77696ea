"""Models of other toolkits as run directories: translated with, trained, exported like our own."""

from keras_s2s.importers.marian import import_marian

__all__ = ["import_marian"]
