"""Beam counters of a translation: `lines`, `tokens` and `errors`."""

from typing import Any

__all__ = ["count", "read_counters"]

NAMESPACE = "keras_s2s"


def count(name: str, number: int) -> None:
    """Adds to a counter; called by a worker."""
    from apache_beam.metrics import Metrics

    Metrics.counter(NAMESPACE, name).inc(number)


def read_counters(result: Any) -> dict[str, int]:
    """Returns the counters of a finished pipeline by name; 0 for one that was never used."""
    counters = dict.fromkeys(("lines", "tokens", "errors"), 0)
    for counter in result.metrics().query()["counters"]:
        if counter.key.metric.namespace == NAMESPACE:
            counters[counter.key.metric.name] += counter.result
    return counters
