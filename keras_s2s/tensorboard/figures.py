"""Heat maps of attention: one map, or a grid of the heads of a model."""

import contextlib
import io
import logging
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
LARGEST = 40.0  # maximum inches of a side
PANEL = (1.6, 4.0)  # minimum and maximum inches of a side of a map in a grid
POINTS_PER_INCH = 72 / 1.4  # font size that fits cells of one inch
LARGEST_TYPE, SMALLEST_TYPE = 10.0, 4.5  # points


@contextlib.contextmanager
def _quiet_fonts():
    """Suppresses the warnings about characters and weights that a font lacks."""
    log = logging.getLogger("matplotlib.font_manager")
    log.addFilter(_is_error)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*[Gg]lyph .* missing from")
            yield
    finally:
        log.removeFilter(_is_error)


def _is_error(record):
    return record.levelno > logging.WARNING


class AttentionFigure(Figure):
    """A matplotlib figure without global state, which notebooks display."""

    def savefig(self, *args: Any, **kwargs: Any) -> Any:
        # SVG keeps text as text, so that the fonts of the viewer are used
        with _quiet_fonts(), matplotlib.rc_context({"svg.fonttype": "none"}):
            return super().savefig(*args, **kwargs)

    def _repr_png_(self):
        return self.png()

    def png(self, dpi: float = DPI) -> bytes:
        """Renders the figure as the bytes of a PNG file."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()

    def pixels(self, dpi: float = DPI) -> np.ndarray:
        """Renders the figure as a uint8 array `[height, width, 4]`."""
        canvas = FigureCanvasAgg(self)
        self.set_dpi(dpi)
        with _quiet_fonts():
            canvas.draw()
        return np.asarray(canvas.buffer_rgba())


def plot_attention(
    weights: Any,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    title: str = "",
    names: Sequence[str] | None = None,
    sides: Any = ("source", "target"),
) -> Figure:
    """Plots attention weights as heat maps: source tokens as columns, target tokens as rows.

    A source in a right-to-left script starts at the right. Maps named `layer L head H` form one
    row of the grid per layer.

    Args:
        weights: array `[T, S]`, or `[A, T, S]` for a grid of maps, with values between 0 and 1.
            Rows beyond `target_tokens` and columns beyond `source_tokens` (padding) are ignored.
        source_tokens: list of at most S strings, the labels of the columns.
        target_tokens: list of at most T strings, the labels of the rows.
        title: title of the figure.
        names: list of A strings, the titles of the maps of a grid.
        sides: pair of strings, the labels of the horizontal and the vertical axis.

    Returns:
        An `AttentionFigure`; `savefig` writes it as PNG, SVG or PDF.

    Raises:
        ValueError: if the rank of `weights` is not 2 or 3, there are fewer rows or columns than
            tokens, there is no map, or the number of names differs from the number of maps.
    """
    maps = _crop(weights, len(target_tokens), len(source_tokens))  # [A, T, S]
    names = _check_names(names, len(maps), np.ndim(weights))
    labels = (
        [printable_label(token) for token in source_tokens],
        [printable_label(t) for t in target_tokens],
    )
    title = printable_label(title, 200)
    grid = _Grid(maps.shape, (1, 1) if np.ndim(weights) == 2 else _rows_and_columns(names))
    figure = AttentionFigure(figsize=grid.size(), layout="constrained")
    axes = figure.add_subplot()
    reverse = is_right_to_left(source_tokens)
    for number, (name, attention_map) in enumerate(zip(names, maps)):
        _draw(axes, grid.corners(number), printable_label(name, 60), attention_map, reverse)
    columns, rows = grid.positions()
    if reverse:
        columns = columns[:, ::-1]
    fonts = font_families([*labels[0], *labels[1], title])
    _ticks(axes.xaxis, columns, labels[0], grid.inches[0], fonts)
    _ticks(axes.yaxis, rows, labels[1], grid.inches[1], fonts)
    axes.set(xlim=grid.limits(0), ylim=grid.limits(1)[::-1], xlabel=sides[0], ylabel=sides[1])
    axes.set_frame_on(False)
    axes.set_title(
        title, fontsize=10, fontfamily=fonts, parse_math=False, pad=16 if any(names) else 6
    )
    figure.colorbar(axes.images[0], ax=axes, label="attention", shrink=0.9, aspect=30)
    return figure


def attention_grid(attention: Any, kind: str = "cross") -> dict:
    """Returns the arguments of `plot_attention` for all maps of one kind.

    Args:
        attention: an `Attention`, for example of `Translator.attention`.
        kind: "cross" for attention over the source, "self" for the self-attention of the decoder,
            "encoder" for that of the encoder.

    Raises:
        ValueError: if the model has no such maps.
    """
    maps = attention_maps(attention)
    if kind not in maps:
        raise ValueError(f"kind: expected one of {', '.join(maps)}, got {kind!r}")
    names, weights = maps[kind]
    source, target = attention.source_tokens, attention.tokens
    columns, rows, sides = {
        "cross": (source, target, ("source", "target")),
        "self": (target, target, ("key", "query")),
        "encoder": (source, source, ("key", "query")),
    }[kind]
    return {
        "weights": weights,
        "source_tokens": columns,
        "target_tokens": rows,
        "names": list(names),
        "sides": sides,
    }


def save_attention(path: Path | str, *args: Any, **kwargs: Any) -> Path:
    """Saves the figure of `plot_attention` as PNG or SVG, selected by the suffix of `path`.

    The file is written under a temporary name and renamed.

    Raises:
        ValueError: as `plot_attention`, or if `path` has another suffix.
        OSError: if the folder cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower().strip(".")
    if kind not in FORMATS:
        raise ValueError(f"path: expected a name that ends in .png or .svg, got {path.name!r}")
    figure = plot_attention(*args, **kwargs)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=DPI)
    return path


def _crop(weights, rows, columns):
    """Checks the weights and crops them to the tokens, `[A, T, S]`."""
    weights = np.asarray(weights, dtype="float32")
    if weights.ndim not in (2, 3):
        shape = list(weights.shape)
        raise ValueError(f"weights: expected shape [T, S] or [A, T, S], got {shape}")
    if weights.shape[-2] < rows or weights.shape[-1] < columns:
        raise ValueError(
            f"weights: expected at least [{rows}, {columns}] for the tokens "
            f"given, got {list(weights.shape[-2:])}"
        )
    maps = weights if weights.ndim == 3 else weights[np.newaxis]
    if not len(maps):
        raise ValueError("weights: expected at least one map, got none")
    return maps[:, :rows, :columns]


def _check_names(names, count, rank):
    names = [""] * count if names is None or rank == 2 else list(names)
    if len(names) != count:
        raise ValueError(f"names: expected {count}, one for each map, got {len(names)}")
    return names


def _rows_and_columns(names):
    """Shape of a grid: one row per layer if all names have layers, otherwise almost square."""
    matches = [re.fullmatch(r"layer (\d+) head (\d+)", name) for name in names]
    if all(matches):
        layers = len({match[1] for match in matches})
        if len(names) % layers == 0:
            return layers, len(names) // layers
    columns = math.ceil(math.sqrt(len(names)))
    return math.ceil(len(names) / columns), columns


class _Grid:
    """Layout of maps `[A, T, S]` on one pair of axes, in units of tokens."""

    def __init__(self, shape, counts):
        _, rows, columns = shape
        self.tokens, self.counts = (columns, rows), counts[::-1]  # columns, rows
        self.cells = [max(n, 1) for n in self.tokens]  # an empty text has one empty cell
        is_single = counts == (1, 1)
        sides = [_side(n, is_single) for n in self.cells]
        limits = [(LARGEST - MARGIN) / count - gap for count, gap in zip(self.counts, GAPS)]
        sides = [max(min(pair), 0.2) for pair in zip(sides, limits)]
        self.inches = [side / n for side, n in zip(sides, self.cells)]  # of one token
        self.pitch = [n + gap / inch for n, gap, inch in zip(self.cells, GAPS, self.inches)]

    def size(self):
        """Width and height of the figure in inches."""
        spans = (high - low for low, high in map(self.limits, (0, 1)))
        return [MARGIN + span * inch for span, inch in zip(spans, self.inches)]

    def limits(self, axis):
        """Axis limits from the edge of the first token to the edge of the last."""
        return -0.5, (self.counts[axis] - 1) * self.pitch[axis] + self.cells[axis] - 0.5

    def corners(self, number):
        """Left, right, bottom and top of a map."""
        row, column = divmod(number, self.counts[0])
        left, top = column * self.pitch[0] - 0.5, row * self.pitch[1] - 0.5
        return left, left + self.cells[0], top + self.cells[1], top

    def positions(self):
        """Centers of the tokens for the columns and rows of the grid, `[count, tokens]`."""
        return [
            np.arange(count)[:, None] * pitch + np.arange(n)
            for count, pitch, n in zip(self.counts, self.pitch, self.tokens)
        ]


def _side(tokens, is_single):
    """Inches of one side of a map."""
    if is_single:
        return tokens * max(min(CELL, 12 / tokens), SMALLEST_CELL)
    low, high = PANEL
    return min(max(SMALLEST_CELL * tokens, low), high)


def _draw(axes, corners, name, weights, reverse):
    left, right, bottom, top = corners
    extent = (right, left, bottom, top) if reverse else corners
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


def _ticks(axis, positions, labels, inches, fonts):
    """Labels an axis with tokens; very long sequences get only every n-th label."""
    points = POINTS_PER_INCH * inches
    step = max(1, math.ceil(SMALLEST_TYPE / points))
    points = min(max(points * step, SMALLEST_TYPE), LARGEST_TYPE)
    is_vertical = axis.axis_name == "x" and max(map(len, labels), default=0) > 2
    axis.set_ticks(
        positions[:, ::step].ravel(),
        labels[::step] * len(positions),
        fontsize=points,
        fontfamily=fonts,
        parse_math=False,
        rotation=90 * is_vertical,
    )
    axis.set_tick_params(length=2)
