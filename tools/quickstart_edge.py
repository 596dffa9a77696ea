"""Transcribes words with a LiteRT file, without TensorFlow: FILE WORD ..."""

import sys

from keras_s2s.serving import EdgeTranslator


def main(path, *words):
    """Prints every word with its best target; the last one grows token by token."""
    edge = EdgeTranslator(path)
    for word, target in zip(words, edge.translate(list(words))):
        print(f"{word}\t{target}")
    for part in edge.stream(words[-1]):
        print(f"{words[-1]} ...\t{part.text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
    if "tensorflow" in sys.modules:
        sys.exit("tools/quickstart_edge.py: expected no TensorFlow, got one")
