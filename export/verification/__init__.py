"""Verification of exports in a separate process, and comparison of models."""
