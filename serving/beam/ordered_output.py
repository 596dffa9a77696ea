"""Ordered lines of several files, written by a Beam pipeline.

A runner preserves no order. Each line carries its position; lines are grouped in blocks, each
block is sorted and written to a scratch file, and the blocks of a file are concatenated.
"""

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_s2s.serving.beam.filesystems import create_raw, filesystems, is_remote, open_raw
from keras_s2s.serving.beam.optional_beam import DoFn, PTransform

__all__ = ["Element", "WriteInOrder", "scratch_folder", "to_element"]

BLOCK_LINES = 10_000  # lines that are sorted in memory

Element = tuple[tuple[int, int, int], tuple[int, bytes]]


def to_element(target: int, file: int, number: int, line: str) -> Element:
    """Returns a line as an element for `WriteInOrder`.

    Args:
        target: number of the target file.
        file, number: position of the line in the target, compared in this order.
        line: the text without a line end.
    """
    return (target, file, number // BLOCK_LINES), (number, line.encode())


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[str]:
    """Creates a folder beside the outputs, on their file system, and deletes it at the end.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = f"{prefix}.parts-{uuid.uuid4().hex}"
    filesystems().create(f"{folder}/begun").close()
    try:
        yield folder
    finally:
        # A remote folder is only a common prefix of names.
        filesystems().delete([f"{folder}/" if is_remote(folder) else folder])


class WriteInOrder(PTransform):
    """Writes elements of `to_element` to files in order; a file appears complete or not at all.

    A worker holds at most one block of lines in memory.

    Args:
        targets: the target files; one without lines is written empty.
        scratch: a `scratch_folder` that exists until the pipeline ends.
    """

    def __init__(self, targets: list[str], scratch: str) -> None:
        super().__init__()
        self.targets, self.scratch = list(targets), scratch

    def expand(self, lines: Any) -> Any:
        import apache_beam as beam

        # An empty block for each target, so that all of them are written.
        no_blocks = [(target, ((-1, -1), "")) for target in range(len(self.targets))]
        empty = lines.pipeline | "Targets" >> beam.Create(no_blocks)
        blocks = lines | "Blocks" >> beam.GroupByKey() | beam.ParDo(_WriteBlock(self.scratch))
        return (
            (blocks, empty)
            | beam.Flatten()
            | "Files" >> beam.GroupByKey()
            | beam.ParDo(_JoinBlocks(self.targets, self.scratch))
        )


class _WriteBlock(DoFn):
    """Sorts and writes a block; a retry writes a new file, since the first may be incomplete."""

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch

    def process(self, element: Any) -> Iterator[Any]:
        (target, file, block), lines = element
        path = f"{self.scratch}/{target}-{file}-{block}-{uuid.uuid4().hex}"
        with create_raw(path) as sink:
            for _, line in sorted(lines):
                sink.write(line + b"\n")
        yield target, ((file, block), path)


class _JoinBlocks(DoFn):
    """Concatenates the blocks of a target and moves the result to its place."""

    def __init__(self, targets: list[str], scratch: str) -> None:
        self.targets, self.scratch = targets, scratch

    def process(self, element: Any) -> Iterator[str]:
        target, blocks = element
        joined = f"{self.scratch}/{target}-{uuid.uuid4().hex}"
        with create_raw(joined) as sink:
            for _, block_path in sorted(blocks):
                if block_path:
                    with open_raw(block_path) as source:
                        shutil.copyfileobj(source, sink)
        path = self.targets[target]
        if not is_remote(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        filesystems().rename([joined], [path])
        yield path
