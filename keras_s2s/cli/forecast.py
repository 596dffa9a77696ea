"""The command `forecast`: continuation of sequences of features."""

import argparse
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.length_windows import RowErrors, add_batch_option, progress_bar
from keras_s2s.cli.model_sources import add_model_arguments, open_model
from keras_s2s.cli.text_streams import LineOutput
from keras_s2s.config import is_frames
from keras_s2s.errors import UserError
from keras_s2s.io import atomic_path
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `forecast` to the parser's sub-commands."""
    parser = add_command(commands, "forecast", _forecast, "continue sequences of features")
    add_model_arguments(parser)
    parser.add_argument(
        "--input",
        required=True,
        metavar="FILE",
        help="sequences of features: .npz or .tfrecord; or texts, one a line",
    )
    parser.add_argument(
        "--output",
        default="-",
        metavar="FILE",
        help="an .npz archive with one array [T, F] per sequence, in order; otherwise, and for the"
        " standard output (-, default), a JSON object a line",
    )
    parser.add_argument(
        "--steps",
        type=integer(),
        metavar="N",
        help="number of frames to forecast (default: the run's)",
    )
    add_batch_option(parser)


def _forecast(arguments):
    with open_model(arguments) as model:
        forecasts, row_errors = _forecast_rows(model, arguments)
    if arguments.output.endswith(".npz"):
        _save(arguments.output, forecasts)
    else:
        with LineOutput(arguments.output) as output:
            for forecast in forecasts:
                output.write(dump_json(_as_dict(forecast)))
    row_errors.raise_if_any()


def _forecast_rows(model, arguments):
    rows, forecasts, row_errors = list(_rows(arguments.input)), [], RowErrors({})
    with progress_bar("forecast", len(rows)) as bar:
        for first in range(0, len(rows), arguments.batch_size):
            batch = rows[first : first + arguments.batch_size]
            results, errors = model.forecast(batch, arguments.steps)
            for row, message in errors.items():
                row_errors.add(f"example {first + row + 1}", message)
            forecasts += results
            bar.update(len(batch))
    return forecasts, row_errors


def _rows(path):
    from keras_s2s.data import read_features, read_lines

    return read_features(path) if is_frames(path) else read_lines(path)


def _save(path, forecasts):
    import numpy as np

    if not Path(path).absolute().parent.is_dir():
        raise UserError(f"--output {path}: expected a folder that exists")
    arrays = {}
    has_variances = any(f is not None and f.variances is not None for f in forecasts)
    for number, forecast in enumerate(forecasts):
        is_missing = forecast is None
        arrays[f"arr_{number}"] = np.zeros([0, 0], np.float32) if is_missing else forecast.values
        if has_variances and not is_missing:
            arrays[f"variances_{number}"] = forecast.variances
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def _as_dict(forecast):
    if forecast is None:
        return {"values": []}
    row = {"values": forecast.values.tolist()}
    return row if forecast.variances is None else row | {"variances": forecast.variances.tolist()}
