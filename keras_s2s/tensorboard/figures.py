"""Pictures of attention: heat maps with tokens on the axes, one map or all heads of a model."""

import contextlib
import io
import logging
import math
import re
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_s2s.io import atomic_path
from keras_s2s.tensorboard.attention_records import attention_maps
from keras_s2s.tensorboard.labels import font_families, is_right_to_left, printable_label

__all__ = ["FORMATS", "AttentionFigure", "attention_grid", "plot_attention", "save_attention"]

FORMATS = ("png", "svg")
DPI = 120
CELL, SMALLEST_CELL = 0.32, 0.16  # inches for one token, alone and in a grid or a long sentence
MARGIN = 1.8  # inches for labels and colour bar
GAPS = (0.12, 0.28)  # inches between maps, across and down
LARGEST = 40.0  # inches of a side, however long the sequences are
PANEL = (1.6, 4.0)  # inches of a side of a map in a grid
LINE = 72 / 1.4  # points of type in an inch of cells
LARGEST_TYPE, SMALLEST_TYPE = 10.0, 4.5  # points


@contextlib.contextmanager
def _quiet_fonts():
    """What a font lacks, a sign or a weight, is drawn otherwise and needs no word to the user."""
    log = logging.getLogger("matplotlib.font_manager")
    log.addFilter(_is_grave)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*[Gg]lyph .* missing from")
            yield
    finally:
        log.removeFilter(_is_grave)


def _is_grave(record):
    return record.levelno > logging.WARNING


class AttentionFigure(Figure):
    """A matplotlib figure that no window and no global state knows, and that notebooks show."""

    def savefig(self, *args, **kwargs):
        # SVG keeps text as text: the viewer's fonts draw what this machine has none for
        with _quiet_fonts(), matplotlib.rc_context({"svg.fonttype": "none"}):
            return super().savefig(*args, **kwargs)

    def _repr_png_(self):
        return self.png()

    def png(self, dpi: float = DPI) -> bytes:
        """The picture as the bytes of a PNG file."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()

    def pixels(self, dpi: float = DPI):
        """The picture as an array `[height, width, 4]`, uint8."""
        canvas = FigureCanvasAgg(self)
        self.set_dpi(dpi)
        with _quiet_fonts():
            canvas.draw()
        return np.asarray(canvas.buffer_rgba())


def plot_attention(
    weights, source_tokens, target_tokens, title="", names=None, sides=("source", "target")
) -> Figure:
    """Draws who looked where: source tokens across, target tokens down, darker is more.

    A source that is written from right to left begins at the right. Maps named
    `layer L head H` stand in a row for each layer.

    Args:
        weights: one map `[T, S]`, or several `[A, T, S]` for a grid of them; each weight between 0
            and 1. Rows beyond `target_tokens` and columns beyond `source_tokens` (padding) are
            left out.
        source_tokens: S strings or fewer, a label for each column.
        target_tokens: T strings or fewer, a label for each row.
        title: text above the picture.
        names: A strings, titles of the maps of a grid.
        sides: what stands across and what stands down.

    Returns:
        An `AttentionFigure`; `savefig` writes it as PNG, SVG or PDF.

    Raises:
        ValueError: weights of another rank, fewer rows or columns than tokens, no map, or another
            number of names.
    """
    maps = _trimmed(weights, len(target_tokens), len(source_tokens))  # [A, T, S]
    names = _checked(names, len(maps), np.ndim(weights))
    labels = (
        [printable_label(token) for token in source_tokens],
        [printable_label(t) for t in target_tokens],
    )
    title = printable_label(title, 200)
    grid = _Grid(maps.shape, (1, 1) if np.ndim(weights) == 2 else _rows_and_columns(names))
    figure = AttentionFigure(figsize=grid.size(), layout="constrained")
    axes = figure.add_subplot()
    backwards = is_right_to_left(source_tokens)
    for number, (name, one) in enumerate(zip(names, maps)):
        _draw(axes, grid.corners(number), printable_label(name, 60), one, backwards)
    across, down = grid.places()
    if backwards:
        across = across[:, ::-1]
    fonts = font_families([*labels[0], *labels[1], title])
    _ticks(axes.xaxis, across, labels[0], grid.inches[0], fonts)
    _ticks(axes.yaxis, down, labels[1], grid.inches[1], fonts)
    axes.set(xlim=grid.limits(0), ylim=grid.limits(1)[::-1], xlabel=sides[0], ylabel=sides[1])
    axes.set_frame_on(False)
    axes.set_title(
        title, fontsize=10, fontfamily=fonts, parse_math=False, pad=16 if any(names) else 6
    )
    figure.colorbar(axes.images[0], ax=axes, label="attention", shrink=0.9, aspect=30)
    return figure


def attention_grid(attention, kind="cross") -> dict:
    """What `plot_attention` takes for all maps of an `Attention` that are of one kind.

    Args:
        attention: `Attention`, such as `Translator.attention` gives.
        kind: "cross", over the source; "self", the decoder's; "encoder", the encoder's.

    Raises:
        ValueError: the model has no such maps.
    """
    maps = attention_maps(attention)
    if kind not in maps:
        raise ValueError(f"kind: expected one of {', '.join(maps)}, came {kind!r}")
    names, weights = maps[kind]
    source, target = attention.source_tokens, attention.tokens
    across, down, sides = {
        "cross": (source, target, ("source", "target")),
        "self": (target, target, ("looked at", "looking")),
        "encoder": (source, source, ("looked at", "looking")),
    }[kind]
    return {
        "weights": weights,
        "source_tokens": across,
        "target_tokens": down,
        "names": list(names),
        "sides": sides,
    }


def save_attention(path, *args, **kwargs) -> Path:
    """Writes `plot_attention` of the other arguments, by the name's end a PNG or an SVG.

    The file is written beside `path` and renamed over it.

    Raises:
        ValueError: as `plot_attention`; or a name of another end.
        OSError: the folder cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower().strip(".")
    if kind not in FORMATS:
        raise ValueError(f"path: expected a name that ends in .png or .svg, came {path.name!r}")
    figure = plot_attention(*args, **kwargs)
    with atomic_path(path) as beside:
        figure.savefig(beside, format=kind, dpi=DPI)
    return path


def _trimmed(weights, rows, columns):
    """The `[A, T, S]` corners that have tokens, checked before anything is cut."""
    weights = np.asarray(weights, dtype="float32")
    if weights.ndim not in (2, 3):
        came = list(weights.shape)
        raise ValueError(f"weights: expected shape [T, S] or [A, T, S], came {came}")
    if weights.shape[-2] < rows or weights.shape[-1] < columns:
        raise ValueError(
            f"weights: expected at least [{rows}, {columns}] for the tokens "
            f"given, came {list(weights.shape[-2:])}"
        )
    maps = weights if weights.ndim == 3 else weights[np.newaxis]
    if not len(maps):
        raise ValueError("weights: expected at least one map, came none")
    return maps[:, :rows, :columns]


def _checked(names, count, rank):
    names = [""] * count if names is None or rank == 2 else list(names)
    if len(names) != count:
        raise ValueError(f"names: expected {count}, one for each map, came {len(names)}")
    return names


def _rows_and_columns(names):
    """Of a grid: a row for each layer where names say so, else nearly a square."""
    found = [re.fullmatch(r"layer (\d+) head (\d+)", name) for name in names]
    if all(found):
        layers = len({one[1] for one in found})
        if len(names) % layers == 0:
            return layers, len(names) // layers
    columns = math.ceil(math.sqrt(len(names)))
    return math.ceil(len(names) / columns), columns


class _Grid:
    """Where maps `[A, T, S]` lie in one pair of axes, whose units are tokens."""

    def __init__(self, shape, counts):
        _, rows, columns = shape
        self.tokens, self.counts = (columns, rows), counts[::-1]  # across, down
        self.cells = [max(n, 1) for n in self.tokens]  # an empty text has an empty picture
        alone = counts == (1, 1)
        sides = [_side(n, alone) for n in self.cells]
        most = [(LARGEST - MARGIN) / count - gap for count, gap in zip(self.counts, GAPS)]
        sides = [max(min(pair), 0.2) for pair in zip(sides, most)]
        self.inches = [side / n for side, n in zip(sides, self.cells)]  # of one token
        self.pitch = [n + gap / one for n, gap, one in zip(self.cells, GAPS, self.inches)]

    def size(self):
        """Width and height of the figure in inches."""
        spans = (high - low for low, high in map(self.limits, (0, 1)))
        return [MARGIN + span * one for span, one in zip(spans, self.inches)]

    def limits(self, axis):
        """From the first token's edge to the last one's."""
        return -0.5, (self.counts[axis] - 1) * self.pitch[axis] + self.cells[axis] - 0.5

    def corners(self, number):
        """Left, right, bottom and top of a map."""
        down, across = divmod(number, self.counts[0])
        left, top = across * self.pitch[0] - 0.5, down * self.pitch[1] - 0.5
        return left, left + self.cells[0], top + self.cells[1], top

    def places(self):
        """For columns and rows of the grid the middle of every token, `[count, tokens]`."""
        return [
            np.arange(count)[:, None] * pitch + np.arange(n)
            for count, pitch, n in zip(self.counts, self.pitch, self.tokens)
        ]


def _side(tokens, alone):
    """Inches of one side of a map."""
    if alone:
        return tokens * max(min(CELL, 12 / tokens), SMALLEST_CELL)
    low, high = PANEL
    return min(max(SMALLEST_CELL * tokens, low), high)


def _draw(axes, corners, name, weights, backwards):
    left, right, bottom, top = corners
    extent = (right, left, bottom, top) if backwards else corners
    axes.imshow(
        weights,
        cmap="Blues",
        vmin=0.0,
        vmax=1.0,
        aspect="auto",
        extent=extent,
        interpolation="nearest",
    )
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, linewidth=0.6)
    axes.add_patch(frame).set_clip_on(False)
    if name:
        axes.annotate(
            name,
            ((left + right) / 2, top),
            (0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            parse_math=False,
        )


def _ticks(axis, places, labels, inches, fonts):
    """Tokens along an axis; of very long sequences every second, third, ... alone."""
    points = LINE * inches
    step = max(1, math.ceil(SMALLEST_TYPE / points))
    points = min(max(points * step, SMALLEST_TYPE), LARGEST_TYPE)
    turned = axis.axis_name == "x" and max(map(len, labels), default=0) > 2
    axis.set_ticks(
        places[:, ::step].ravel(),
        labels[::step] * len(places),
        fontsize=points,
        fontfamily=fonts,
        parse_math=False,
        rotation=90 * turned,
    )
    axis.set_tick_params(length=2)
