"""The command `forecast`: frames in, the frames that come next out."""

import json
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.length_windows import RowErrors, add_batch_option, progress_bar
from keras_s2s.cli.model_sources import add_model_arguments, open_model
from keras_s2s.cli.text_streams import LineOutput
from keras_s2s.config import is_frames
from keras_s2s.errors import UserError
from keras_s2s.io import atomic_path

__all__ = ["add_commands"]


def add_commands(commands) -> None:
    """Adds `forecast` to the parser's sub-commands."""
    parser = add_command(commands, "forecast", _forecast, "continue sequences of vectors")
    add_model_arguments(parser)
    parser.add_argument(
        "--input",
        required=True,
        metavar="FILE",
        help="sequences of vectors: .npz or .tfrecord; or texts, one a line",
    )
    parser.add_argument(
        "--output",
        default="-",
        metavar="FILE",
        help="an .npz archive of one array [T, F] for each, in order; else, as on the standard"
        " output (-, default), a JSON object a line",
    )
    parser.add_argument(
        "--steps", type=integer(), metavar="N", help="frames wanted (default: the run's)"
    )
    add_batch_option(parser)


def _forecast(arguments):
    with open_model(arguments) as model:
        found, problems = _ask(model, arguments)
    if arguments.output.endswith(".npz"):
        _save(arguments.output, found)
    else:
        with LineOutput(arguments.output) as output:
            for one in found:
                output.write(json.dumps(_as_dict(one)))
    problems.complain()


def _ask(model, arguments):
    rows, found, problems = list(_rows(arguments.input)), [], RowErrors({})
    with progress_bar("forecast", len(rows)) as shown:
        for first in range(0, len(rows), arguments.batch_size):
            batch = rows[first : first + arguments.batch_size]
            results, errors = model.forecast(batch, arguments.steps)
            for row, message in errors.items():
                problems.add(f"example {first + row + 1}", message)
            found += results
            shown.update(len(batch))
    return found, problems


def _rows(path):
    from keras_s2s.data import read_features, read_lines

    return read_features(path) if is_frames(path) else read_lines(path)


def _save(path, found):
    import numpy as np

    if not Path(path).absolute().parent.is_dir():
        raise UserError(f"--output {path}: expected a folder that exists")
    arrays = {}
    for number, one in enumerate(found):
        arrays[f"arr_{number}"] = one.values if one is not None else np.zeros([0, 0], np.float32)
    if any(one is not None and one.variances is not None for one in found):
        for number, one in enumerate(found):
            if one is not None:
                arrays[f"variances_{number}"] = one.variances
    with atomic_path(path) as beside, open(beside, "wb") as file:
        np.savez(file, **arrays)


def _as_dict(one):
    if one is None:
        return {"values": []}
    row = {"values": one.values.tolist()}
    return row if one.variances is None else row | {"variances": one.variances.tolist()}
