"""Files of a corpus on any file system that Beam knows: models and lines in, lines out in order."""

import contextlib
import glob
import gzip
import os
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

from keras_s2s.serving.beam.optional_beam import DoFn, PTransform
from keras_s2s.serving.errors import ServingError
from keras_s2s.serving.server.version_directories import find_versions

__all__ = [
    "CorpusError",
    "WriteInOrder",
    "find_export",
    "find_inputs",
    "local_copy",
    "name_outputs",
    "read_lines",
    "scratch_folder",
    "sort_out",
]

BLOCK = 10_000  # lines of a file that are put in order in memory
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()  # what editors put at the start of a file
_PB = "saved_model.pb"


class CorpusError(ServingError, ValueError):
    """A file or an export is not what it should be; `str` is one clear line."""


def _systems():
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def _is_remote(path):
    return "://" in path


def _matches(patterns):
    found = _systems().match(patterns)
    return sorted({one.path for result in found for one in result.metadata_list})


def _plain_open(path):
    if not _is_remote(path):
        return open(path, "rb")
    from apache_beam.io.filesystem import CompressionTypes

    return _systems().open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _plain_create(path):
    from apache_beam.io.filesystem import CompressionTypes

    return _systems().create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def find_export(model_dir: str) -> str:
    """The directory of an export's version.

    Args:
        model_dir: that directory or the base path that holds `1/`, `2/`, ..., of which the
            highest is taken; local, or on a file system that Beam knows, such as `gs://`.

    Raises:
        CorpusError: there is no export.
    """
    base = str(model_dir).rstrip("/")
    if _is_remote(base):
        found = [os.path.dirname(path) for path in _matches([f"{base}/{_PB}", f"{base}/*/{_PB}"])]
        versions = {int(name): path for path in found if (name := path.split("/")[-1]).isdecimal()}
        found = base if base in found else versions.get(max(versions, default=None))
    else:
        local, versions = Path(os.path.abspath(base or "/")), {}
        with contextlib.suppress(OSError):
            versions = {n: v for n, v in find_versions(local).items() if (v / _PB).is_file()}
        found = local if (local / _PB).is_file() else versions.get(max(versions, default=None))
    if found is None:
        raise CorpusError(f"{model_dir}: expected an export, DIR/VERSION/{_PB} or its DIR")
    return str(found)


@contextlib.contextmanager
def local_copy(directory: str) -> Iterator[Path]:
    """A version's directory where TensorFlow's Session reads it; a copy lasts as the context."""
    if not _is_remote(directory):
        yield Path(directory)
        return
    with tempfile.TemporaryDirectory(prefix="keras-s2s-") as folder:
        _copy(directory, Path(folder))
        yield Path(folder)


def _copy(directory, folder):
    for path in _matches([f"{directory}/**"]):
        target = folder / path.removeprefix(f"{directory}/")
        if not path.endswith("/"):  # which some object stores list as a file
            target.parent.mkdir(parents=True, exist_ok=True)
            with _plain_open(path) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def find_inputs(patterns: list[str]) -> list[str]:
    """The files of paths and glob patterns, each once, sorted.

    Raises:
        CorpusError: a pattern matches no file.
    """
    found = {}
    for pattern in patterns:
        if _is_remote(pattern):
            paths = _matches([pattern])
        else:
            # a name may hold brackets
            paths = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
            paths = sorted(path for path in paths if os.path.isfile(path))
        if not paths:
            raise CorpusError(f"--input {pattern}: expected files or a pattern of some, came none")
        for path in paths:
            found.setdefault(_absolute(path), path)
    return [found[path] for path in sorted(found)]


def _absolute(path):
    return path if _is_remote(path) else os.path.abspath(path)


def name_outputs(prefix: str, inputs: list[str], suffix: str) -> tuple[list[str], str]:
    """Where the lines of each input go, and where those of the errors.

    Args:
        prefix: what every name begins with; a folder if it ends in `/`.
        inputs: files, of which the path below the folder that they share, without `.gz`, is
            the rest of the name.
        suffix: put behind it.

    Raises:
        CorpusError: two inputs have the same output, or an output is an input.
    """
    folders = [_absolute(path).split("/")[:-1] for path in inputs]
    shared = len(os.path.commonprefix(folders))
    names = ["/".join(filter(None, _absolute(path).split("/")[shared:])) for path in inputs]
    joint, dot = ("", "") if prefix.endswith("/") else ("-", ".")
    outputs = [f"{prefix}{joint}{name.removesuffix('.gz')}{suffix}" for name in names]
    errors = f"{prefix}{dot}errors.jsonl"
    taken = {_absolute(path): f"the input {path}" for path in inputs}
    for path, output in [("errors", errors), *zip(inputs, outputs, strict=True)]:
        other = taken.setdefault(_absolute(output), f"that for {path}")
        if other != f"that for {path}":
            raise CorpusError(f"--output {prefix}: the output {output} for {path} is {other} too")
    return outputs, errors


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[str]:
    """A folder beside the outputs, on their file system, for as long as the context.

    Raises:
        OSError: nothing can be written there.
    """
    folder = f"{prefix}.parts-{uuid.uuid4().hex}"
    _systems().create(f"{folder}/begun").close()
    try:
        yield folder
    finally:
        # elsewhere there are no folders, but names that begin alike
        _systems().delete([f"{folder}/" if _is_remote(folder) else folder])


def read_lines(path: str) -> Iterator[bytes]:
    r"""The lines of a file without their ends, gunzipped if its name ends in `.gz`.

    Only `\n` ends a line; `\r\n` is read as `\n`, a byte order mark at the start is left out.

    Raises:
        CorpusError: naming the file and line from which on it cannot be read.
    """
    number = 0
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(_plain_open(path))
            if path.endswith(".gz"):  # Beam's own reader takes one that was cut short for whole
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            for number, line in enumerate(file, 1):
                line = line.removeprefix(_MARK) if number == 1 else line
                yield line.removesuffix(b"\n").removesuffix(b"\r")
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path}:{number + 1}: cannot be read: {error}") from error


def sort_out(target: int, file: int, number: int, line: str):
    """A line as an element for `WriteInOrder`.

    Args:
        target: the number of the file that it goes to.
        file, number: its place among the lines of that target.
        line: the text, without an end.
    """
    return (target, file, number // BLOCK), (number, line.encode())


class WriteInOrder(PTransform):
    """Lines, as `sort_out` makes them, written to files in order: each appears whole, or not.

    No worker holds more than a block of lines: blocks are sorted and written beside, and what
    was written is joined at the end.

    Args:
        targets: the files, each of which will be there, if only empty.
        scratch: a `scratch_folder` that lasts until the pipeline has ended.
    """

    def __init__(self, targets: list[str], scratch: str):
        super().__init__()
        self.targets, self.scratch = list(targets), scratch

    def expand(self, lines):
        import apache_beam as beam

        none = [(target, ((-1, -1), "")) for target in range(len(self.targets))]
        empty = lines.pipeline | "Targets" >> beam.Create(none)
        blocks = lines | "Blocks" >> beam.GroupByKey() | beam.ParDo(_WriteBlock(self.scratch))
        return (
            (blocks, empty)
            | beam.Flatten()
            | "Files" >> beam.GroupByKey()
            | beam.ParDo(_Join(self.targets, self.scratch))
        )


class _WriteBlock(DoFn):
    """Sorts a block; one that is tried again is written anew, for nobody knows how far it came."""

    def __init__(self, scratch):
        self.scratch = scratch

    def process(self, element):
        (target, file, block), lines = element
        path = f"{self.scratch}/{target}-{file}-{block}-{uuid.uuid4().hex}"
        with _plain_create(path) as sink:
            for _, line in sorted(lines):
                sink.write(line + b"\n")
        yield target, ((file, block), path)


class _Join(DoFn):
    def __init__(self, targets, scratch):
        self.targets, self.scratch = targets, scratch

    def process(self, element):
        target, blocks = element
        beside = f"{self.scratch}/{target}-{uuid.uuid4().hex}"
        with _plain_create(beside) as sink:
            for _, path in sorted(blocks):
                if path:
                    with _plain_open(path) as source:
                        shutil.copyfileobj(source, sink)
        path = self.targets[target]
        if not _is_remote(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        _systems().rename([beside], [path])
        yield path
