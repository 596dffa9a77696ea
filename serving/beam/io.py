"""Corpus files: names of inputs and outputs, and lines of text."""

import contextlib
import glob
import lzma
import os
import zlib
from collections.abc import Iterator

from keras_s2s.errors import UserError
from keras_s2s.io import open_text, strip_compression_suffix, strip_lines
from keras_s2s.serving.beam.filesystems import absolute_path, is_remote, match_paths, open_raw
from keras_s2s.serving.errors import ServingError

__all__ = ["CorpusError", "find_inputs", "name_outputs", "read_lines"]


class CorpusError(ServingError, ValueError):
    """A file or an export is missing or invalid; `str` is one line."""


def find_inputs(patterns: list[str]) -> list[str]:
    """Returns the files of paths and glob patterns, sorted and without duplicates.

    Raises:
        CorpusError: if a pattern matches no file.
    """
    inputs: dict[str, str] = {}
    for pattern in patterns:
        if is_remote(pattern):
            paths = match_paths([pattern])
        else:
            # An existing path is not a pattern: its name may contain brackets.
            matches = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
            paths = sorted(path for path in matches if os.path.isfile(path))
        if not paths:
            raise CorpusError(f"--input {pattern}: expected files or a pattern of some, got none")
        for path in paths:
            inputs.setdefault(absolute_path(path), path)
    return [inputs[path] for path in sorted(inputs)]


def name_outputs(prefix: str, inputs: list[str], suffix: str) -> tuple[list[str], str]:
    """Returns the output file of each input, and the file of errors.

    Args:
        prefix: start of all names; a folder if it ends in `/`.
        inputs: input files. The rest of an output's name is the input's path below the folder
            that all inputs share, without the ending of a compressed file.
        suffix: end of the names of outputs.

    Raises:
        CorpusError: if two inputs have the same output, or an output is an input.
    """
    folders = [absolute_path(path).split("/")[:-1] for path in inputs]
    num_shared = len(os.path.commonprefix(folders))
    names = ["/".join(filter(None, absolute_path(path).split("/")[num_shared:])) for path in inputs]
    is_folder = prefix.endswith("/")
    joint = "" if is_folder else "-"
    outputs = [f"{prefix}{joint}{strip_compression_suffix(name)}{suffix}" for name in names]
    errors = f"{prefix}{'' if is_folder else '.'}errors.jsonl"
    owners = {absolute_path(path): f"the input {path}" for path in inputs}
    for path, output in [("errors", errors), *zip(inputs, outputs, strict=True)]:
        owner = owners.setdefault(absolute_path(output), f"that for {path}")
        if owner != f"that for {path}":
            raise CorpusError(f"--output {prefix}: the output {output} for {path} is {owner} too")
    return outputs, errors


def read_lines(path: str) -> Iterator[bytes]:
    r"""Yields the lines of a file without line ends; gzip, bzip2 and xz are decompressed.

    Only `\n` ends a line; `\r\n` is read as `\n`, and a byte order mark at the start is dropped.

    Raises:
        CorpusError: if the file cannot be read; the message names the file and line.
    """
    number = 0
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open_raw(path))
            text = open_text(file, path)  # Beam's own reader accepts a truncated file
            for line in strip_lines(text):
                number += 1
                yield line
    except UserError as error:
        raise CorpusError(str(error)) from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise CorpusError(f"{path}:{number + 1}: cannot be read: {error}") from error
