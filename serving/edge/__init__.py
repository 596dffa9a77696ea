"""LiteRT files run without TensorFlow."""
