"""Records as trained models give them, made by rule: the same on every machine."""

import numpy as np

from keras_s2s.tensorboard.attention_records import AttentionRecord

GERMAN = (
    "▁Die",
    "▁Kat",
    "ze",
    ",",
    "▁die",
    "▁gestern",
    "▁auf",
    "▁dem",
    "▁Dach",
    "▁sa",
    "ß",
    ",",
    "▁schläft",
    "▁heute",
    ".",
    "</s>",
)
ENGLISH = (
    "▁The",
    "▁cat",
    "▁that",
    "▁sat",
    "▁on",
    "▁the",
    "▁roof",
    "▁yesterday",
    "▁is",
    "▁sleeping",
    "▁today",
    ".",
    "</s>",
)
ALIGNED = (0, 1.5, 4, 9.5, 6, 7, 8, 5, 12, 12, 13, 14, 15)
ARABIC = ("▁جلست", "▁القطة", "▁على", "▁السطح", "▁أمس", ".")
CHINESE = tuple("猫昨天坐在屋顶上。")
HOSTILE = (
    "<script>alert(1)</script>",
    '"quo\'tes"',
    "new\nline",
    "\u202eevil\u202c",
    "</script><img src=x onerror=alert(2)>",
    "&amp;",
    "",
    "  ",
)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).astype("float32")


def heads_of(count, rows, columns, part, random, centre=None, causal=False):
    """Heads `[count, rows, columns]`: aligned, one before, the end, all over, one behind."""
    row, column = np.arange(rows)[:, None], np.arange(columns)[None]
    centre = row * columns / max(rows, 1) if centre is None else np.array(centre)[:, None]
    shapes = (
        -1.6 * abs(column - centre),
        -1.4 * abs(column - centre + 1),
        3.0 * (column == columns - 1) + 0.0 * row,
        0.0 * (row + column),
        -1.1 * abs(column - centre - 1),
    )
    noise = random.normal(size=(count, rows, columns)) * (0.6 + 0.9 * (1.0 - part))
    scores = np.stack([shapes[head % 5] for head in range(count)]) * part + noise
    return softmax(np.where(column <= row, scores, -1e9) if causal else scores)


def a_record(source=GERMAN, target=ENGLISH, layers=2, heads=4, part=1.0, seed=0, **fields):
    """A record in which `part` of 1 is a trained model and of 0 one that is not."""
    random, count = np.random.default_rng(seed), layers * heads
    names = [f"layer {n // heads + 1} head {n % heads + 1}" for n in range(count)]
    centre = ALIGNED if (source, target) == (GERMAN, ENGLISH) else None
    sizes = len(target), len(source)
    maps = {
        "cross": (names, heads_of(count, *sizes, part, random, centre)),
        "self": (names, heads_of(count, sizes[0], sizes[0], part, random, causal=True)),
        "encoder": (names, heads_of(count, sizes[1], sizes[1], part, random)),
    }
    return AttentionRecord(source, target, maps, **fields)


def large_record(tokens=200, layers=16, heads=12):
    """Cross attention of 192 heads over 200 tokens."""
    words = tuple(f"token{n}" for n in range(tokens))
    random, count = np.random.default_rng(0), layers * heads
    names = [f"layer {n // heads + 1} head {n % heads + 1}" for n in range(count)]
    maps = {"cross": (names, heads_of(count, tokens, tokens, 0.7, random))}
    return AttentionRecord(words, words, maps)
