"""Verification of exports in a fresh process, and comparison of models."""
