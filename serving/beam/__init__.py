"""Exported models over whole corpora on Apache Beam."""
