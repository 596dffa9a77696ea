"""A model by its name: a run, an export or a served model, all asked in one way."""

import contextlib
import hashlib
from pathlib import Path

from keras_s2s.cli.argument_parser import number
from keras_s2s.cli.option_flags import add_checkpoint_option
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.errors import UserError

__all__ = [
    "LITERT_SUFFIX",
    "SCHEME",
    "add_model_arguments",
    "add_timeout_option",
    "is_export",
    "make_client",
    "open_model",
    "open_served_model",
    "serving_errors_as_user_errors",
]

SCHEME = "grpc://"
LITERT_SUFFIX = ".tflite"


def add_model_arguments(parser) -> None:
    """Adds the words that `open_model` reads."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a run, a SavedModel's directory or base path, FILE.tflite, or grpc://HOST:PORT/NAME",
    )
    parser.add_argument(
        "--ensemble",
        nargs="+",
        default=[],
        metavar="RUN",
        help="further runs: the mean of all, as one model",
    )
    add_timeout_option(parser)
    add_checkpoint_option(parser)


def add_timeout_option(parser) -> None:
    """Adds how long a server may take."""
    parser.add_argument(
        "--timeout",
        type=number(),
        default=60.0,
        metavar="S",
        help="seconds that a server may take for a batch (default: 60)",
    )


def open_model(arguments):
    """The model that `add_model_arguments`'s words name, in a `with` block; see `_Run`, `_Export`, `_Edge`,
    `_Served`.

    Raises:
        UserError: there is none of that name, or it cannot be loaded.
    """
    name = arguments.model
    if name.startswith(SCHEME):
        kind = open_served_model(*_address(name), arguments.timeout)
    elif name.endswith(LITERT_SUFFIX):
        kind = _Edge(name)
    elif is_export(Path(name)):
        import_tensorflow()
        kind = _Export(name)
    else:
        import_tensorflow()
        return contextlib.nullcontext(_Run([name, *arguments.ensemble], arguments.checkpoint))
    if arguments.ensemble:
        raise UserError(f"--ensemble: expected runs, came {name}")
    return kind


def open_served_model(address, name, timeout):
    """A served model, in a `with` block."""
    full = f"{SCHEME}{address}/{name}"
    return _Served(make_client(full, timeout), full)


def make_client(name, timeout):
    """The `Client` of grpc://HOST:PORT/NAME."""
    from keras_s2s.serving import Client

    with serving_errors_as_user_errors():
        return Client(*_address(name), timeout=timeout)


@contextlib.contextmanager
def serving_errors_as_user_errors():
    """Makes what goes wrong with a served model a user's error."""
    from keras_s2s.serving import ServingError

    try:
        yield
    except (ServingError, ValueError) as error:  # a ValueError names the argument: no port, ...
        raise UserError(str(error)) from error


class _Run:
    """A trained run, or several as an ensemble.

    `translate`, `sample`, `score` and `forecast` give what was found and, by row, what was wrong.
    """

    def __init__(self, runs, checkpoint):
        from keras_s2s.translator import load_run

        self._model = load_run(runs[0] if len(runs) == 1 else runs, checkpoint=checkpoint)
        self._runs, self._checkpoint = runs, checkpoint

    def translate(self, texts, alignment=True, **options):
        return self._able("decode")(texts, batch_size=len(texts), errors="return", **options)

    def sample(self, texts, alignment=True, **options):
        return self._able("sample")(texts, batch_size=len(texts), errors="return", **options)

    def score(self, texts, **targets):
        return self._able("score")(texts, batch_size=len(texts), errors="return", **targets)

    def forecast(self, frames, steps=None):
        return self._able("forecast")(frames, steps, batch_size=len(frames), errors="return")

    def _able(self, method):
        if not hasattr(self._model, method):
            can = ("forecast", "translate")
            wanted, other = can if method == "forecast" else can[::-1]
            raise UserError(f"{self._runs[0]}: expected a run to {wanted}, came one to {other}")
        return getattr(self._model, method)

    def attention(self, texts, **targets):
        found = self._able("attention")(texts, **targets)
        if not all(one.source_tokens for one in found):  # there is an end at least
            raise UserError(next(iter(self.score(texts, **targets)[1].values())))
        return found

    def identity(self) -> str:
        """What changes when the model does."""
        parts = (self._checkpoint, "tokenizers", "config.yml")
        paths = [Path(run) / part for run in self._runs for part in parts]
        return f"{' + '.join(map(str, self._runs))} ({_stamp(paths)})"


class _Served:
    """A model behind a client, in a `with` block; as `_Run`."""

    def __init__(self, client, name):
        self._model, self._name = client, name

    def translate(self, texts, alignment=True, **options):
        return self._asked(self._model.translate, texts, alignment=alignment, **options)

    def sample(self, texts, alignment=True, **options):
        return self._asked(self._model.sample, texts, alignment=alignment, **options)

    def score(self, texts, **targets):
        return self._asked(self._model.score, texts, **targets)

    def forecast(self, frames, steps=None):
        return self._asked(self._model.forecast, frames, steps=steps)

    def attention(self, texts, **targets):
        with serving_errors_as_user_errors():
            return self._model.attention(texts, **targets)

    def _asked(self, ask, texts, **options):
        from keras_s2s.serving import RowError

        with serving_errors_as_user_errors():
            try:
                return ask(texts, **options), {}
            except RowError as error:
                return error.results, error.errors

    def identity(self) -> str:
        with serving_errors_as_user_errors():
            ready = [one.version for one in self._model.status() if one.state == "AVAILABLE"]
        return f"{self._name} (version {ready[0] if ready else 'none'})"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._model.close()


class _Export(_Served):
    """A SavedModel in this process; as `_Run`."""

    def __init__(self, path):
        from keras_s2s.serving.server.local_model import LocalModel

        with serving_errors_as_user_errors():
            super().__init__(LocalModel(path), path)

    def identity(self) -> str:
        return f"{self._name} ({_stamp([Path(self._model.address)])})"


class _Edge:
    """A LiteRT file in this process, without TensorFlow; as `_Run`."""

    def __init__(self, path):
        from keras_s2s.serving import EdgeTranslator

        with serving_errors_as_user_errors():
            self._model, self._name = EdgeTranslator(path), path

    def translate(self, texts, alignment=True, **options):
        with serving_errors_as_user_errors():
            return self._model.decode(texts, errors="return", **options)

    def sample(self, texts, alignment=True, **options):
        raise UserError(f"{self._name}: expected a model that draws, came a LiteRT file")

    def score(self, texts, **targets):
        with serving_errors_as_user_errors():
            return self._model.score(texts, errors="return", **targets)

    def attention(self, texts, **targets):
        raise UserError(f"{self._name}: expected a model with attention maps, came a LiteRT file")

    def identity(self) -> str:
        return f"{self._name} ({_stamp([Path(self._name)])})"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def _address(name):
    address, slash, model = name.removeprefix(SCHEME).partition("/")
    if not (address and slash and model):
        raise UserError(f"{name}: expected grpc://HOST:PORT/NAME")
    return address, model


def is_export(path) -> bool:
    """Whether a folder is, or holds versions of, a SavedModel; a run with exports in it is not."""
    if not path.is_dir() or (path / "config.yml").exists():
        return False
    numbered = (one for one in path.iterdir() if one.name.isdecimal())
    return any((one / "saved_model.pb").is_file() for one in (path, *numbered))


def _stamp(paths) -> str:
    """A word for the names, sizes and times of all files below some paths."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted([path] if path.is_file() else path.rglob("*")):
            found = file.stat()
            digest.update(f"{file.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]
