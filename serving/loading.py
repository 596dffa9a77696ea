"""What answers for a version's directory: its SavedModel, or its LiteRT file.

TensorFlow is imported when the first SavedModel is loaded.
"""

from keras_s2s.serving.edge_model import FILE, EdgeModel

__all__ = ["FILE", "Loader"]


class Loader:
    """Loads a version, given its directory.

    Args:
        prefer_tflite_model: take `model.tflite` where there is one.

    Attributes:
        without_xla: turn XLA off for the process, as TensorFlow Serving does.
    """

    def __init__(self, prefer_tflite_model=False):
        self.prefer_tflite_model = prefer_tflite_model
        self.without_xla = False

    def __call__(self, directory):
        if self.prefer_tflite_model and (directory / FILE).is_file():
            return EdgeModel(directory)
        from keras_s2s.serving.session import LoadedModel, disable_xla

        if self.without_xla:
            disable_xla()
        return LoadedModel(directory)
