"""Translation of corpora on Apache Beam."""
