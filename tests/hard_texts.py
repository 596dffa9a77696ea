"""Texts that are hard for tokenizers: Unicode corner cases and invalid UTF-8."""

import unicodedata

HARD = [
    "",
    " ",
    " \t a  b\u00a0c ",
    "</s>",
    "<unk> <s> <pad>",
    "a\0b",
    "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "😀 👩‍👩‍👧 a😀 👍🏽 🇩🇪 ❤\ufe0f",
    "中文 e\u0301 ﬁ …",
    unicodedata.normalize("NFC", "Ångström naïve 한국어 ộ"),
    unicodedata.normalize("NFD", "Ångström naïve 한국어 ộ"),
    "שלום עולם مرحبا \u202bابجد\u202c 123",
    "नमस्ते ก็ Z\u0335\u0321a\u0334l\u0321g\u0322o\u0318",
    "▁ a▁b▁",
    "## ##a ###",
    "<0x41> <0xE4><0xB8><0xAD>",
    "a\nb\r\nc",
    "\u200b\ufeff\u2028",
    "\ufeffa",
    "\U0010ffff\uffff\ue000\U000e0041",
    "long " * 200 + "x" * 5000,
]
BROKEN = [b"\xff\xfeab", b"a\xc3", b"\xed\xa0\x80 b", b"\xf0\x9f\x98", b"\x80"]
