"""Pictures of attention: an alignment as a heat map with its tokens on the axes."""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_s2s.config import replacing

__all__ = ["alignment_figure", "save_alignment"]

CELL = 0.32  # inches for one token
MARGIN = 1.8  # inches for labels and colour bar
LARGEST = 24.0  # inches, however long the sequences are


def alignment_figure(alignment, source_tokens, target_tokens, title="") -> Figure:
    """Draws who looked where: source tokens across, target tokens down, darker is more.

    Args:
        alignment: weights `[T, S]`, each between 0 and 1; rows beyond `target_tokens` and
            columns beyond `source_tokens` (padding) are left out.
        source_tokens: S strings or fewer, a label for each column.
        target_tokens: T strings or fewer, a label for each row.
        title: text above the picture.

    Returns:
        A matplotlib figure that no window and no global state knows.

    Raises:
        ValueError: the alignment is not a matrix, or has fewer rows or columns than tokens.
    """
    shown = _trimmed(alignment, len(source_tokens), len(target_tokens))  # [T, S]
    rows, columns = shown.shape
    size = (min(MARGIN + CELL * columns, LARGEST), min(MARGIN + CELL * rows, LARGEST))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    corners = (-0.5, max(columns, 1) - 0.5, max(rows, 1) - 0.5, -0.5)  # an empty text has none
    image = axes.imshow(shown, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", extent=corners)
    turned = max(map(len, source_tokens), default=0) > 2
    axes.set_xticks(range(columns), map(_label, source_tokens), rotation=90 * turned)
    axes.set_yticks(range(rows), map(_label, target_tokens))
    axes.set(xlabel="source", ylabel="target", title=_label(title))
    figure.colorbar(image, ax=axes, label="attention")
    return figure


def save_alignment(path, alignment, source_tokens, target_tokens, title="") -> Path:
    """Writes `alignment_figure` of weights `[T, S]` as a PNG, beside `path` and renamed over it.

    Raises:
        ValueError: as `alignment_figure`.
        OSError: the folder cannot be written.
    """
    path = Path(path)
    figure = alignment_figure(alignment, source_tokens, target_tokens, title)
    with replacing(path) as beside, warnings.catch_warnings():
        # a script that the font lacks is drawn as boxes, which needs no word to the user
        warnings.filterwarnings("ignore", message=".*[Gg]lyph .* missing from")
        figure.savefig(beside, format="png", dpi=120)
    return path


def _trimmed(alignment, source_length, target_length):
    """The `[T, S]` corner that has tokens, checked before anything is cut."""
    alignment = np.asarray(alignment, dtype="float32")
    if alignment.ndim != 2:
        raise ValueError(f"alignment: expected shape [T, S], came {list(alignment.shape)}")
    if alignment.shape[0] < target_length or alignment.shape[1] < source_length:
        raise ValueError(
            f"alignment: expected at least [{target_length}, {source_length}] for the tokens "
            f"given, came {list(alignment.shape)}"
        )
    return alignment[:target_length, :source_length]


def _label(token) -> str:
    """A token as it is: matplotlib would read text between two dollar signs as a formula."""
    return str(token).replace("$", r"\$")
