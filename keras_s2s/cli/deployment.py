"""The commands about served models: `export`, `serve` and `predict`."""

import contextlib
import tempfile
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.length_windows import process_windows
from keras_s2s.cli.model_sources import add_timeout_option, open_served_model
from keras_s2s.cli.option_flags import add_checkpoint_option
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.cli.text_streams import LineOutput, aligned_lines
from keras_s2s.cli.translate import TranslateJob, add_options, input_files
from keras_s2s.errors import UserError
from keras_s2s.export.variant import QUANTIZATIONS, WEIGHT_TYPES

__all__ = ["add_commands"]

MANY = 32  # texts that one call carries
OWN = {  # the options of each format
    "saved_model": (
        "version",
        "ensemble",
        "weights",
        "batching",
        "frozen",
        "xla",
        "gpu",
        "shortlist",
    ),
    "litert": ("version", "ensemble", "quantize", "beam", "max_length", "text_operations"),
    "ctranslate2": ("quantize",),
}


def add_commands(commands) -> None:
    """Adds `export`, `serve` and `predict` to the parser's sub-commands."""
    summary = "publish a trained run for a server or a device"
    _add_export(add_command(commands, "export", _export, summary))
    _add_serve(add_command(commands, "serve", _serve, "serve an export over gRPC"))
    _add_predict(add_command(commands, "predict", _predict, "ask a served model"))


def _add_export(parser):
    add = parser.add_argument
    add("run_dir", metavar="RUN", help="a run directory")
    place = "the base path: DIR/VERSION is made; for CTranslate2 the directory to make"
    add("directory", metavar="DIR", help=place)
    number = integer(1, 2**63 - 1)  # what TensorFlow Serving can read
    add("--version", type=number, metavar="N", help="default: one more than the highest there")
    kinds = "a SavedModel for a server, one LiteRT file for a device, or what CTranslate2 reads"
    add("--format", choices=OWN, default="saved_model", help=f"{kinds} (default: saved_model)")
    types = f"of a LiteRT file: {', '.join(QUANTIZATIONS)}; of CTranslate2: its names, as int8"
    add("--quantize", metavar="TYPE", help=f"{types} (default: float32)")
    add("--beam", type=integer(1), metavar="K", help="of a LiteRT file: the widest beam")
    most = "of a LiteRT file: the most target tokens"
    add("--max-length", type=integer(1), metavar="N", help=most)
    texts = "of a LiteRT file: string to string, where tf.text's operations are linked in"
    add("--text-operations", action="store_true", help=texts)
    add("--weights", choices=WEIGHT_TYPES, help="how matrices are stored (default: float32)")
    more = "answer requests that wait at the same time together, without a flag of the server"
    add("--batching", action="store_true", help=more)
    add("--frozen", action="store_true", help="weights as constants of the graph, of at most 2 GB")
    fast = "compile searches of one text; the server needs --xla_cpu_compilation_enabled"
    add("--xla", action="store_true", help=fast)
    placed = "for a server with a GPU, which places every operation of a search itself"
    add("--gpu", action="store_true", help=placed)
    few = "give no target tokens but those of FILE, one a line, or the N most frequent in training"
    add("--shortlist", metavar="FILE|N", help=few)
    add("--ensemble", nargs="+", metavar="RUN", help="further runs: the mean of all, as one model")
    add("--average", type=integer(2), metavar="N", help="the mean of RUN's last N checkpoints")
    add_checkpoint_option(parser)


def _add_serve(parser):
    add = parser.add_argument
    # TensorFlow Serving's own names, and how every other option here is spelt
    add("--model_name", "--model-name", required=True, metavar="N", help="what clients call it")
    places = ("--model_base_path", "--model-base-path")
    add(*places, required=True, metavar="DIR", help="holds the versions: DIR/1, DIR/2, ...")
    port = "0: any free one (default: 8500)"
    add("--port", type=integer(0, 65535), default=8500, metavar="P", help=port)
    flags = ("--prefer_tflite_model", "--prefer-tflite-model")
    lite = "serve a version that has a model.tflite by it"
    add(*flags, action="store_true", help=lite)
    names = ("--xla_cpu_compilation_enabled", "--xla-cpu-compilation-enabled")
    add(*names, action="store_true", help="serve exports made with --xla, compiled before that")


def _add_predict(parser):
    add = parser.add_argument
    add("--server", required=True, metavar="HOST:PORT", help="where it listens for gRPC")
    add("--model", required=True, metavar="N", help="the model's name")
    add_timeout_option(parser)
    text = "what to translate; - (default): the lines of the standard input"
    add("text", nargs="*", default=["-"], metavar="TEXT", help=text)
    add_options(parser)
    parser.set_defaults(batch_size=MANY)


def _export(arguments):
    own = OWN[arguments.format]
    for name in sorted({name for names in OWN.values() for name in names} - {*own}):
        if getattr(arguments, name):
            raise UserError(
                f"--{name.replace('_', '-')}: expected none with --format {arguments.format}"
            )
    import_tensorflow()
    from keras_s2s import export

    options = {name: getattr(arguments, name) for name in own}
    quantization = options.pop("quantize", None)
    if quantization:
        options["quantization"] = quantization
    make = getattr(export, f"export_{arguments.format}")
    checkpoint, others = arguments.checkpoint, options.pop("ensemble", None) or []
    with _averaged(arguments.run_dir, arguments.average, checkpoint) as run:
        runs = [run, *others] if others else run
        print(make(runs, arguments.directory, checkpoint=checkpoint, **options))


@contextlib.contextmanager
def _averaged(run, count, checkpoint):
    """The run, or one of the mean of its last `count` checkpoints."""
    if count is None:
        yield run
        return
    if checkpoint != "best":
        raise UserError(f"--average: expected no --checkpoint beside it, came {checkpoint}")
    from keras_s2s.training import average_checkpoints

    with tempfile.TemporaryDirectory() as place:
        mean = Path(place) / Path(run).absolute().name
        average_checkpoints([run], mean, last=count, option="--average")
        yield mean


def _serve(arguments):
    lite = arguments.prefer_tflite_model
    if not lite:  # or it may not be needed
        import_tensorflow()
    from keras_s2s.serving import ServingError, serve

    name, path = arguments.model_name, arguments.model_base_path
    try:
        serve(
            name,
            path,
            arguments.port,
            prefer_tflite_model=lite,
            xla_cpu_compilation_enabled=arguments.xla_cpu_compilation_enabled,
        )
    except ServingError as error:
        raise UserError(str(error)) from error


def _predict(arguments):
    piped = arguments.text == ["-"]
    arguments.input = "-" if piped else arguments.text
    with (
        open_served_model(arguments.server, arguments.model, arguments.timeout) as model,
        LineOutput() as output,
    ):
        work = TranslateJob(model, arguments)
        process_windows(aligned_lines(input_files(arguments)), output, arguments.input, work, MANY)
    work.problems.complain()
