"""Layers and pure functions that encoders, decoders and heads are built from."""
