"""Labels of figures: fonts for their characters, text direction, invisible characters."""

import functools
import unicodedata
from collections.abc import Iterable

from matplotlib import font_manager

__all__ = ["font_families", "is_right_to_left", "printable_label"]

MAX_LENGTH = 24  # characters of a label
JOINERS = "\u200c\u200d"  # they change the shapes of neighbouring letters
# Prefixes of font families that are searched for characters missing in the default font.
CANDIDATES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans",
    "WenQuanYi",
    "Droid Sans Fallback",
    "PingFang",
    "Hiragino Sans",
    "Microsoft YaHei",
    "SimHei",
    "Yu Gothic",
    "Meiryo",
    "Malgun Gothic",
    "Noto Sans",
    "Noto Naskh",
    "Noto Serif",
    "Lohit",
    "FreeSans",
    "Mangal",
    "Nirmala",
    "Kohinoor",
    "Geeza Pro",
    "Segoe UI",
    "Arial Unicode MS",
    "Unifont",
)
DEFAULT = "DejaVu Sans"  # ships with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew, phonetics


def font_families(texts: Iterable[str]) -> list[str]:
    """Returns installed fonts that together cover the characters of texts, the default font first.

    Characters that no font covers are drawn as boxes. Matplotlib 3.11 and later shape Arabic and
    Devanagari and reorder right-to-left words; earlier versions draw letter by letter.
    """
    code_points = {ord(char) for text in texts for char in text if not char.isspace()}
    families, missing = _select(code_points)
    if missing and _add_new_fonts():
        families, _ = _select(code_points)
    return families


def _select(missing):
    """Returns font families, and the code points that none of them covers."""
    families = []
    for name, path in _installed():
        covered = _code_points(path)
        if name == DEFAULT or missing & covered:
            families.append(name)
            missing = missing - covered
        if not missing:
            break
    return families, missing


@functools.cache
def _add_new_fonts():
    """Registers, once, fonts installed after matplotlib wrote its cache; returns their number."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    count = 0
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            font_manager.fontManager.addfont(path)
            count += 1
        except (
            OSError,
            RuntimeError,
            ValueError,
            AttributeError,
        ):  # fonts that matplotlib's cache leaves out too
            continue
    return count


def is_right_to_left(tokens: Iterable[str]) -> bool:
    """Whether most letters belong to right-to-left scripts."""
    classes = [unicodedata.bidirectional(char) for token in tokens for char in token]
    return classes.count("R") + classes.count("AL") > classes.count("L")


def printable_label(token: str, max_length: int = MAX_LENGTH) -> str:
    r"""Returns a token with invisible and direction-changing characters escaped, as `\u202e`.

    A token longer than `max_length` characters is truncated.
    """
    text = str(token)
    text = text if len(text) <= max_length else text[: max_length - 1] + "…"
    return "".join(map(_escape, text))


def _escape(char):
    is_invisible = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    if not is_invisible or char in JOINERS:
        return char
    return char.encode("unicode_escape").decode("ascii")


def _installed():
    """Pairs (family, file): the default font, those of `CANDIDATES` in order, then all others."""
    regular = {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and _is_regular(font.weight)
    }
    rest = sorted(name for name in regular if "Last Resort" not in name)  # boxes for every sign
    first = [DEFAULT] if DEFAULT in regular else []
    names = [name for start in CANDIDATES for name in sorted(regular) if name.startswith(start)]
    return [(name, regular[name]) for name in dict.fromkeys(first + names + rest)]


def _is_regular(weight):
    return weight in (400, 500, "normal", "regular", "book", "medium")


@functools.cache
def _code_points(path):
    """The code points of a font file; an empty set for a file that cannot be read."""
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
