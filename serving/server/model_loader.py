"""What answers for a version's directory: its SavedModel, or its LiteRT file.

TensorFlow is imported when the first SavedModel is loaded.
"""

from keras_s2s.serving.server.edge_model import MODEL_FILE, EdgeModel

__all__ = ["FILE", "ModelLoader"]


class ModelLoader:
    """Loads a version, given its directory.

    Args:
        prefer_tflite_model: take `model.tflite` where there is one.
        xla: True: what XLA compiles is compiled before the version answers; False: XLA is off
            for the process, and a version that needs it is refused; None: neither.
    """

    def __init__(self, prefer_tflite_model=False, xla=None):
        self.prefer_tflite_model, self.xla = prefer_tflite_model, xla

    def __call__(self, directory):
        if self.prefer_tflite_model and (directory / MODEL_FILE).is_file():
            return EdgeModel(directory)
        from keras_s2s.serving.server import session, xla_loading

        if self.xla is None:
            return session.LoadedModel(directory)
        if self.xla:
            return xla_loading.load_warmed_up(directory)
        session.disable_xla()
        return xla_loading.load_without_xla(directory)
