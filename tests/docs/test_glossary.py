"""The glossary: every term of a public name has an entry."""

import importlib
import re

import pytest

from tests.docs.pages import ROOT

# Ordinary English, and words of Keras, TensorFlow and Python.
ORDINARY_TEXT = """
absolute acquire advance atomically backend bar best better buffer build cell check choose compiled
complete compression config constant constrained convolution corpora cosine count data decode
decompress default describe directory distance distribution drop dry end ending error example
exists exponential factored fast field file find flush for forcing forecaster function generator
get guard gzipped hard has higher id imported inf invalid is jsonl keep kinds layer learned length
likelihood line lines listing load lock logger longest losses main make mark masked match max mean
merge missing mix model named naming neg network new newest no non norm normalized of omit open
options order over pair papers parallel parameters part parts path penalty periodic piece plot
probability product progress read remove replace required rereadable resolve restore result root
sample save saved scan scorer scores search self serve server side size special split spread sqrt
squared start statistics strings strip suffix summary swap text to trace tracker train training
translate tree update user utf8 weights wildcards with without word words write yaml
"""
ORDINARY_WORDS = set(ORDINARY_TEXT.split())
# Names with a capital letter inside, which are one word.
BRANDS = ("OpenNMT", "SentencePiece", "Seq2Seq", "TensorBoard", "WordPiece")
# Names of version 0.1 that remain importable, see docs/migrating.md.
FORMER_NAMES = {
    *("Checkpoint", "Course", "Goal", "Guard", "Journal", "Means", "Progress", "Rescue"),
    *("Summaries", "Validate", "PartedSize", "making", "replacing", "Survey", "survey"),
    *("LOWEST", "Extras", "forbidden", "needed", "no_extras", "SPECIAL_PIECES", "rehearse"),
    *("Theirs", "written", "NotProven", "PlainDecoder", "places", "traced"),
}


def packages():
    roots = {"keras_s2s": "keras_s2s", "export": "keras_s2s.export", "serving": "keras_s2s.serving"}
    for folder, name in roots.items():
        for path in sorted((ROOT / folder).rglob("__init__.py")):
            yield ".".join([name, *path.relative_to(ROOT / folder).parts[:-1]])
    yield from ("keras_s2s.errors", "keras_s2s.io", "keras_s2s.schedules")


def public_names():
    """The public names of all packages and top-level modules, and where they are listed."""
    names = {}
    for package in packages():
        for name in getattr(importlib.import_module(package), "__all__", ()):
            names.setdefault(name, []).append(package)
    return names


def entries():
    """(term, meaning) of each line of the glossary."""
    text = (ROOT / "docs" / "glossary.md").read_text()
    return re.findall(r"(?m)^\| (.+?) \| (.+) \|$", text)[2:]


def split_words(name):
    """Lower-case words of a CamelCase or snake_case name: `GNMTEncoder` -> gnmt, encoder."""
    for term in BRANDS:
        name = name.replace(term, term.capitalize())
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", name)
    return [word.lower() for word in words]


def singular(word):
    for ending, replacement in (("ies", "y"), ("theses", "thesis"), ("ches", "ch"), ("s", "")):
        if word.endswith(ending):
            return word.removesuffix(ending) + replacement
    return word


@pytest.fixture(scope="module")
def known_words():
    words = set(ORDINARY_WORDS)
    for term, _ in entries():
        parts = {word.lower() for word in re.findall(r"\w+", term)}
        words |= parts | {singular(word) for word in parts}
        words.add(re.sub(r"\W", "", term).lower())
    return words


def test_every_word_of_a_public_name_is_explained(known_words):
    unknown = {}
    for name, modules in public_names().items():
        if name in FORMER_NAMES:
            continue
        for word in split_words(name):
            if not {word, singular(word)} & known_words:
                unknown.setdefault(word, []).append(f"{modules[0]}.{name}")
    assert not unknown


def test_former_names_are_public():
    assert not FORMER_NAMES - set(public_names())


def test_terms_are_in_alphabetical_order_and_distinct():
    terms = [re.sub(r"\W", "", term.lower()) for term, _ in entries()]
    assert terms == sorted(set(terms))


def test_entries_are_one_line_without_a_full_stop():
    for term, meaning in entries():
        assert meaning and not meaning.endswith("."), term


def test_ordinary_words_have_no_entry_of_their_own():
    terms = {term.lower() for term, _ in entries()}
    assert not ORDINARY_WORDS & terms
