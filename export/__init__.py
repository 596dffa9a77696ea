"""From a trained run to what a server or a device runs."""

from keras_s2s.export.saved_model import export_saved_model, export_translator

__all__ = ["export_saved_model", "export_translator"]
