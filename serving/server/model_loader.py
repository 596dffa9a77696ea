"""Loading of a version directory as a SavedModel or a LiteRT file."""

from pathlib import Path

from keras_s2s.serving.server.edge_model import MODEL_FILE, EdgeModel
from keras_s2s.serving.server.servable import Servable

__all__ = ["ModelLoader"]


class ModelLoader:
    """Loads the model of a version directory.

    TensorFlow is imported when the first SavedModel is loaded.

    Args:
        prefer_tflite_model: load `model.tflite` if the version has one.
        xla: True compiles functions marked for XLA before the version is served. False disables
            XLA in this process and rejects versions that need it. None does neither.
    """

    def __init__(self, prefer_tflite_model: bool = False, xla: bool | None = None) -> None:
        self.prefer_tflite_model = prefer_tflite_model
        self.xla = xla

    def __call__(self, directory: Path) -> Servable:
        if self.prefer_tflite_model and (directory / MODEL_FILE).is_file():
            return EdgeModel(directory)
        from keras_s2s.serving.server import session, xla_loading

        if self.xla is None:
            return session.LoadedModel(directory)
        if self.xla:
            return xla_loading.load_warmed_up(directory)
        session.disable_xla()
        return xla_loading.load_without_xla(directory)
