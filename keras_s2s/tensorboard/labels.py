"""Tokens as labels of a picture: fonts that have their signs, their direction, what is unseen."""

import functools
import unicodedata

from matplotlib import font_manager

__all__ = ["font_families", "is_right_to_left", "printable_label"]

LONGEST = 24  # signs of a label
JOINERS = "\u200c\u200d"  # they shape the letters beside them
# Where a script that the default font lacks is looked for, by how a family's name begins.
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
DEFAULT = "DejaVu Sans"  # matplotlib brings it: Latin, Greek, Cyrillic, Arabic, Hebrew, phonetics


def font_families(texts) -> list[str]:
    """Names of installed fonts that together have the signs of texts, the default one first.

    Signs that no font has are drawn as boxes. From its version 3.11 on matplotlib joins the letters
    of Arabic and Devanagari and turns right-to-left words; older ones draw letter by letter.
    """
    signs = {ord(sign) for text in texts for sign in text if not sign.isspace()}
    chosen, missing = _chosen(signs)
    if missing and _added():
        chosen, _ = _chosen(signs)
    return chosen


def _chosen(missing):
    """(families, the code points that none of them has)."""
    chosen = []
    for name, path in _installed():
        known = _signs(path)
        if name == DEFAULT or missing & known:
            chosen.append(name)
            missing = missing - known
        if not missing:
            break
    return chosen, missing


@functools.cache
def _added():
    """Tells matplotlib, once, of the fonts that came after it wrote its list; how many."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    count = 0
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            font_manager.fontManager.addfont(path)
            count += 1
        except (OSError, RuntimeError, ValueError, AttributeError):  # as the list leaves them out
            continue
    return count


def is_right_to_left(tokens) -> bool:
    """Whether more letters are written from right to left than from left to right."""
    kinds = [unicodedata.bidirectional(sign) for token in tokens for sign in token]
    return kinds.count("R") + kinds.count("AL") > kinds.count("L")


def printable_label(token, longest=LONGEST) -> str:
    r"""A token as a label: what could not be seen, or would turn its neighbours round, as `\u202e`.

    A token longer than `longest` signs is cut.
    """
    text = str(token)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(map(_sign, text))


def _sign(sign):
    hidden = unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    if not hidden or sign in JOINERS:
        return sign
    return sign.encode("unicode_escape").decode("ascii")


def _installed():
    """(family, file), the default font first, then by the order of `CANDIDATES`, then all."""
    upright = {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and _is_regular(font.weight)
    }
    rest = sorted(name for name in upright if "Last Resort" not in name)  # boxes for every sign
    first = [DEFAULT] if DEFAULT in upright else []
    names = [name for start in CANDIDATES for name in sorted(upright) if name.startswith(start)]
    return [(name, upright[name]) for name in dict.fromkeys(first + names + rest)]


def _is_regular(weight):
    return weight in (400, 500, "normal", "regular", "book", "medium")


@functools.cache
def _signs(path):
    """The code points of a font file; none of one that cannot be read."""
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
