"""Whole runs: from files to translations."""
