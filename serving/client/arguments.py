"""Checks of the arguments of a client that are no inputs of the model.

Every function returns the argument, or raises a ValueError that names it.
"""

import math
from typing import Any

__all__ = ["check_address", "check_chunk", "check_model", "check_timeout", "check_version"]


def check_chunk(chunk: Any) -> int:
    """Checks the number of tokens that each step of a stream adds."""
    if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 1:
        raise ValueError(f"chunk: expected a positive whole number of tokens, got {chunk!r}")
    return chunk


def check_address(address: Any) -> str:
    """Checks an address `"HOST:PORT"`."""
    host, colon, port = str(address).rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= 65535) or "/" in host:
        raise ValueError(f"address: expected 'HOST:PORT', got {address!r}")
    return address


def check_model(model: Any) -> str:
    """Checks the name of a served model."""
    if not isinstance(model, str) or not model:
        raise ValueError(f"model: expected the name of a served model, got {model!r}")
    return model


def check_version(version: Any) -> int | None:
    """Checks the number of a version, or None."""
    is_whole = isinstance(version, int) and not isinstance(version, bool)
    if version is not None and not (is_whole and 0 <= version < 2**63):
        raise ValueError(f"version: expected a whole number, got {version!r}")
    return version


def check_timeout(timeout: Any) -> float:
    """Checks a number of seconds."""
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not 0 < timeout < math.inf:
        raise ValueError(f"timeout: expected a positive number of seconds, got {timeout!r}")
    return timeout
