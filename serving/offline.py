"""The signature `translate` of an export, asked in this process: no server and no network."""

import numpy as np

from keras_s2s.serving import arguments, codec
from keras_s2s.serving.errors import RowError
from keras_s2s.serving.rows import read_rows
from keras_s2s.serving.session import LoadedModel
from keras_s2s.serving.status import StatusError
from keras_s2s.signatures import TRANSLATE, Hypothesis

__all__ = ["Engine"]

# Of a run whose rows may be to blame: an invalid argument, too little memory, out of range.
_OF_ROWS = {3, 8, 11}


class Engine:
    """An export's `translate` with the same options for every text; threads may share it.

    Args:
        directory: the version's directory, a `pathlib.Path`.
        options: inputs of `TRANSLATE` by name, one value each; what is left out is the export's
            own default.
        alignment: whether hypotheses have theirs.

    Raises:
        ValueError: naming the directory: it does not load, it is no translation model, or it
            lacks an option, an output or a default.
    """

    def __init__(self, directory, options: dict | None = None, alignment: bool = False):
        self._directory = directory
        self._left_out = () if alignment else ("alignment",)
        try:
            self._model = LoadedModel(directory)
        except StatusError as error:
            raise ValueError(f"{directory}: does not load: {error.message}") from None
        try:
            self._prepare(options or {})
        except ValueError:
            self.close()
            raise

    def _prepare(self, options):
        self._signature = self._model.signatures.get(TRANSLATE.name)
        if self._signature is None:
            names = [name for name in sorted(self._model.signatures) if not name.startswith("__")]
            came = ", ".join(names) or "none"
            raise self._wrong(f"expected the signature {TRANSLATE.name}, came {came}")
        self._text = self._tensor(self._signature.inputs, "text").name
        self._options = self._vectors(options)
        wanted = [one for one in TRANSLATE.outputs if one.name not in self._left_out]
        self._outputs = {
            one.name: self._tensor(self._signature.outputs, one.name).name
            for one in wanted
            if not one.optional or one.name in self._signature.outputs
        }

    def _vectors(self, options):
        """The value of every input but the text, as arrays [1] by the names of the graph."""
        given = arguments.search_inputs(TRANSLATE, [""], options)
        for name in given:
            self._tensor(self._signature.inputs, name)
        vectors = {}
        for name, info in self._signature.inputs.items():
            if name not in given and name not in self._signature.defaults:
                raise self._wrong(f"the input {name!r} has no default and was not given")
            if name in given:
                vectors[info.name] = given[name]
            else:
                vectors[info.name] = codec.decode(self._signature.defaults[name])
        del vectors[self._text]
        return vectors

    def _tensor(self, tensors, name):
        if name not in tensors:
            raise self._wrong(f"the signature {TRANSLATE.name} has no {name!r}: {sorted(tensors)}")
        return tensors[name]

    def _wrong(self, problem):
        return ValueError(f"{self._directory}: {problem}")

    def translate(self, texts: list[str]) -> list[tuple[list[Hypothesis], str]]:
        """Translates texts at once; a batch that cannot be run is tried again in halves.

        Args:
            texts: B strings, at least one.

        Returns:
            For each text its hypotheses, best first, and what was wrong with it, or "".

        Raises:
            StatusError: if a run failed for a reason that lies with no text.
        """
        try:
            return self._translate(texts)
        except StatusError as error:
            if error.code not in _OF_ROWS:
                raise
            if len(texts) == 1:
                return [([], error.message)]
            half = len(texts) // 2
            return self.translate(texts[:half]) + self.translate(texts[half:])

    def _translate(self, texts):
        feeds = {name: np.repeat(value, len(texts)) for name, value in self._options.items()}
        feeds[self._text] = codec.to_array(texts, "texts", "string")
        values = self._model.run(feeds, list(self._outputs.values()))
        outputs = {
            name: codec.to_text(value) if value.dtype == np.object_ else value
            for name, value in zip(self._outputs, values, strict=True)
        }
        try:
            found, errors = read_rows(TRANSLATE, outputs, len(texts), self._left_out), {}
        except RowError as error:
            found, errors = error.results, error.errors
        return [(hypotheses, errors.get(row, "")) for row, hypotheses in enumerate(found)]

    def close(self) -> None:
        """Frees the memory."""
        self._model.close()
