"""The signature `translate` of an export with fixed options and an error for each row."""

import os
from typing import Any

from keras_s2s.serving.client.metadata import SignatureInfo
from keras_s2s.serving.errors import InvalidArgument, OutOfRange, ResourceExhausted, RowError
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.signatures.requests import search_inputs
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["Engine"]

# Errors of a run that single rows of the batch may cause.
_ROW_DEPENDENT_ERRORS = (InvalidArgument, OutOfRange, ResourceExhausted)


class Engine:
    """An export that translates in this process; threads may share it.

    Args:
        directory: the version directory.
        options: inputs of `TRANSLATE` by name, one value each; an omitted option uses the
            export's default.
        alignment: whether hypotheses include the alignment.

    Raises:
        ValueError: if the export does not load, is no translation model, or lacks an option, an
            output or a default; the message names the directory.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        options: dict[str, Any] | None = None,
        alignment: bool = False,
    ) -> None:
        self._options, self._alignment = dict(options or {}), alignment
        search_inputs(TRANSLATE, [""], self._options)
        self._model = LocalModel(directory)
        try:
            # Checked now: in a run it would be an error of every row.
            self._check_signature(self._model.metadata().signatures)
        except ValueError as error:
            self.close()
            raise ValueError(f"{directory}: {error}") from None

    def _check_signature(self, signatures: dict[str, SignatureInfo]) -> None:
        if TRANSLATE.name not in signatures:
            names = ", ".join(name for name in signatures if not name.startswith("__"))
            raise ValueError(f"expected the signature {TRANSLATE.name}, got {names or 'none'}")
        signature = signatures[TRANSLATE.name]
        inputs = ["text", *self._options]
        outputs = [field.name for field in TRANSLATE.outputs if not field.is_optional]
        with_values = {"text", *self._options, *signature.defaults}
        for kind, required, available in (
            ("input", inputs, set(signature.inputs)),
            ("output", outputs, set(signature.outputs)),
            ("default of", list(signature.inputs), with_values),
        ):
            missing = [name for name in required if name not in available]
            if missing:
                raise ValueError(f"its signature {TRANSLATE.name} has no {kind} {missing[0]!r}")

    def translate(self, texts: list[str]) -> list[tuple[list[Hypothesis], str]]:
        """Translates a batch; one that cannot run is split in halves.

        Args:
            texts: B strings, at least one.

        Returns:
            For each text its hypotheses, best first, and its error message or "".

        Raises:
            CallError: if a run fails for a reason that does not depend on the texts.
        """
        errors: dict[int, str] = {}
        try:
            results = self._model.translate(texts, alignment=self._alignment, **self._options)
        except RowError as error:
            results, errors = error.results, error.errors
        except _ROW_DEPENDENT_ERRORS as error:
            if len(texts) == 1:
                return [([], error.details or error.code)]
            half = len(texts) // 2
            return self.translate(texts[:half]) + self.translate(texts[half:])
        return [(hypotheses, errors.get(row, "")) for row, hypotheses in enumerate(results)]

    def close(self) -> None:
        """Releases the model's memory."""
        self._model.close()
