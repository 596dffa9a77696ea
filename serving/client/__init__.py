"""The gRPC client of served models."""
