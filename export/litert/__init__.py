"""Export to LiteRT files."""
