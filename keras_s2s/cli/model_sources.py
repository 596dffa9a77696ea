"""Models by name: runs, exports and served models behind one interface."""

import argparse
import contextlib
import enum
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_s2s.cli.argument_parser import number
from keras_s2s.cli.option_flags import add_checkpoint_option
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.errors import UserError
from keras_s2s.signatures.version_directories import is_saved_model, list_versions

if TYPE_CHECKING:
    from keras_s2s.serving import Client

__all__ = [
    "MODEL_HELP",
    "ModelKind",
    "add_model_arguments",
    "add_timeout_option",
    "make_client",
    "model_kind",
    "open_model",
    "open_served_model",
    "serving_errors_as_user_errors",
]

SCHEME = "grpc://"
LITERT_SUFFIX = ".tflite"
MODEL_HELP = "a run, a SavedModel's directory or base path, FILE.tflite, or grpc://HOST:PORT/NAME"


class ModelKind(enum.Enum):
    """Kinds of models that a name of a command line stands for."""

    RUN = "run"
    EXPORT = "export"
    LITERT = "litert"
    SERVED = "served"


def model_kind(name: str) -> ModelKind:
    """Returns the kind of model that RUN | DIR | FILE.tflite | grpc://HOST:PORT/MODEL names.

    A folder is an export if it is a SavedModel or holds versions of one; a run with exports is a
    run. The model need not exist: any other name is a run.
    """
    if name.startswith(SCHEME):
        return ModelKind.SERVED
    if name.endswith(LITERT_SUFFIX):
        return ModelKind.LITERT
    path = Path(name)
    if not path.is_dir() or (path / "config.yml").exists():
        return ModelKind.RUN
    directories = (path, *list_versions(path).values())
    return ModelKind.EXPORT if any(map(is_saved_model, directories)) else ModelKind.RUN


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that `open_model` reads."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=MODEL_HELP,
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


def add_timeout_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--timeout`."""
    parser.add_argument(
        "--timeout",
        type=number(),
        default=60.0,
        metavar="S",
        help="seconds that a server may take for a batch (default: 60)",
    )


def open_model(arguments: argparse.Namespace) -> contextlib.AbstractContextManager:
    """Opens the model that the arguments of `add_model_arguments` name, as a context manager.

    Raises:
        UserError: if there is no such model, or it cannot be loaded.
    """
    name = arguments.model
    kind = model_kind(name)
    if kind is ModelKind.SERVED:
        model = open_served_model(*_address(name), arguments.timeout)
    elif kind is ModelKind.LITERT:
        model = LiteRTModel(name)
    elif kind is ModelKind.EXPORT:
        import_tensorflow()
        model = ExportModel(name)
    else:
        import_tensorflow()
        return contextlib.nullcontext(RunModel([name, *arguments.ensemble], arguments.checkpoint))
    if arguments.ensemble:
        raise UserError(f"--ensemble: expected runs, got {name}")
    return model


def open_served_model(address: str, name: str, timeout: float) -> "ServedModel":
    """Opens a served model, as a context manager."""
    url = f"{SCHEME}{address}/{name}"
    return ServedModel(make_client(url, timeout), url)


def make_client(name: str, timeout: float) -> "Client":
    """Returns the `Client` of grpc://HOST:PORT/NAME."""
    from keras_s2s.serving import Client

    with serving_errors_as_user_errors():
        return Client(*_address(name), timeout=timeout)


@contextlib.contextmanager
def serving_errors_as_user_errors() -> Iterator[None]:
    """Turns the errors of a served model into user errors."""
    from keras_s2s.serving import ServingError

    try:
        yield
    except (ServingError, ValueError) as error:  # a ValueError names the argument
        raise UserError(str(error)) from error


class RunModel:
    """A trained run, or an ensemble of runs.

    `translate`, `sample`, `score` and `forecast` return the results and a dict of error messages
    by row.
    """

    def __init__(self, runs: Sequence[str], checkpoint: Any):
        from keras_s2s.translator import load_run

        self._model = load_run(runs[0] if len(runs) == 1 else runs, checkpoint=checkpoint)
        self._runs, self._checkpoint = runs, checkpoint

    def translate(
        self, texts: Sequence, alignment: bool = True, **options: Any
    ) -> tuple[list, dict[int, str]]:
        return self._method("decode")(texts, batch_size=len(texts), errors="return", **options)

    def sample(
        self, texts: Sequence, alignment: bool = True, **options: Any
    ) -> tuple[list, dict[int, str]]:
        return self._method("sample")(texts, batch_size=len(texts), errors="return", **options)

    def score(self, texts: Sequence, **targets: Any) -> tuple[list, dict[int, str]]:
        return self._method("score")(texts, batch_size=len(texts), errors="return", **targets)

    def forecast(self, frames: Sequence, steps: int | None = None) -> tuple[list, dict[int, str]]:
        return self._method("forecast")(frames, steps, batch_size=len(frames), errors="return")

    def _method(self, method):
        if not hasattr(self._model, method):
            tasks = ("forecast", "translate")
            expected, actual = tasks if method == "forecast" else tasks[::-1]
            raise UserError(f"{self._runs[0]}: expected a run to {expected}, got one to {actual}")
        return getattr(self._model, method)

    def attention(self, texts: Sequence, **targets: Any) -> list:
        results = self._method("attention")(texts, **targets)
        if not all(result.source_tokens for result in results):  # valid rows hold the end token
            raise UserError(next(iter(self.score(texts, **targets)[1].values())))
        return results

    def identity(self) -> str:
        """A string that changes whenever the model changes."""
        parts = (self._checkpoint, "tokenizers", "config.yml")
        paths = [Path(run) / part for run in self._runs for part in parts]
        return f"{' + '.join(map(str, self._runs))} ({_file_hash(paths)})"


class ServedModel:
    """A model behind a client; same interface as `RunModel`."""

    def __init__(self, client: Any, name: str):
        self._model, self._name = client, name

    def translate(
        self, texts: Sequence, alignment: bool = True, **options: Any
    ) -> tuple[list, dict[int, str]]:
        return self._call(self._model.translate, texts, alignment=alignment, **options)

    def sample(
        self, texts: Sequence, alignment: bool = True, **options: Any
    ) -> tuple[list, dict[int, str]]:
        return self._call(self._model.sample, texts, alignment=alignment, **options)

    def score(self, texts: Sequence, **targets: Any) -> tuple[list, dict[int, str]]:
        return self._call(self._model.score, texts, **targets)

    def forecast(self, frames: Sequence, steps: int | None = None) -> tuple[list, dict[int, str]]:
        return self._call(self._model.forecast, frames, steps=steps)

    def attention(self, texts: Sequence, **targets: Any) -> list:
        with serving_errors_as_user_errors():
            return self._model.attention(texts, **targets)

    def _call(self, method, texts, **options):
        from keras_s2s.serving import RowError

        with serving_errors_as_user_errors():
            try:
                return method(texts, **options), {}
            except RowError as error:
                return error.results, error.errors

    def identity(self) -> str:
        with serving_errors_as_user_errors():
            statuses = self._model.status()
        ready = [status.version for status in statuses if status.state == "AVAILABLE"]
        return f"{self._name} (version {ready[0] if ready else 'none'})"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._model.close()


class ExportModel(ServedModel):
    """A SavedModel in this process, rows of texts [B]; same interface as `RunModel`."""

    def __init__(self, path: str):
        from keras_s2s.serving.server.local_model import LocalModel

        with serving_errors_as_user_errors():
            super().__init__(LocalModel(path), path)

    def identity(self) -> str:
        return f"{self._name} ({_file_hash([Path(self._model.address)])})"


class LiteRTModel:
    """A LiteRT file in this process, run without TensorFlow; same interface as `RunModel`."""

    def __init__(self, path: str):
        from keras_s2s.serving import EdgeTranslator

        with serving_errors_as_user_errors():
            self._model, self._name = EdgeTranslator(path), path
            self._model.verify_digest()

    def translate(
        self, texts: Sequence, alignment: bool = True, **options: Any
    ) -> tuple[list, dict[int, str]]:
        with serving_errors_as_user_errors():
            return self._model.decode(texts, errors="return", **options)

    def sample(
        self, texts: Sequence, alignment: bool = True, **options: Any
    ) -> tuple[list, dict[int, str]]:
        raise UserError(f"{self._name}: expected a model with sampling, got a LiteRT file")

    def score(self, texts: Sequence, **targets: Any) -> tuple[list, dict[int, str]]:
        with serving_errors_as_user_errors():
            return self._model.score(texts, errors="return", **targets)

    def attention(self, texts: Sequence, **targets: Any) -> list:
        raise UserError(f"{self._name}: expected a model with attention maps, got a LiteRT file")

    def identity(self) -> str:
        return f"{self._name} ({_file_hash([Path(self._name)])})"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def _address(name):
    address, slash, model = name.removeprefix(SCHEME).partition("/")
    if not (address and slash and model):
        raise UserError(f"{name}: expected grpc://HOST:PORT/NAME")
    return address, model


def _file_hash(paths) -> str:
    """A hash of the names, sizes and modification times of all files below some paths."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted([path] if path.is_file() else path.rglob("*")):
            stat = file.stat()
            digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]
