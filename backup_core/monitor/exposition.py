"""Metrics in Prometheus' format: as text, as a file for node_exporter, and over HTTP.

The only user of prometheus_client, which knows the format's escaping, writes the file beside its
place and renames it, and serves requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from prometheus_client import (
    CollectorRegistry,
    generate_latest,
    start_http_server,
    write_to_textfile,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from backup_core.errors import PitrError
from backup_core.monitor.samples import METRICS, Sample

Gather = Callable[[], Iterable[Sample]]
NONE: Mapping[str, str] = MappingProxyType({})


class _Collector(Collector):
    """Gathers anew whenever it is asked."""

    def __init__(self, gather: Gather, labels: Mapping[str, str]) -> None:
        self._gather = gather
        self._labels = labels

    def collect(self) -> Iterator[Family]:
        """Group the samples by their metrics, in the order of the table."""
        found = list(self._gather())
        for metric in METRICS:
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = make(metric.name, metric.about, labels=(*self._labels, *metric.labels))
            mine = [sample for sample in found if sample.name == metric.name]
            for sample in mine:
                values = [*self._labels.values(), *(sample.labels[name] for name in metric.labels)]
                family.add_metric(values, sample.value)
            if mine:
                yield family


def as_text(gather: Gather, labels: Mapping[str, str] = NONE) -> str:
    """The metrics as text; `labels` go to every one of them."""
    return generate_latest(_registry(gather, labels)).decode()


def write(path: Path, gather: Gather, labels: Mapping[str, str] = NONE) -> None:
    """Write the metrics to a file that readers see whole or not at all; raises PitrError."""
    try:
        write_to_textfile(str(path), _registry(gather, labels))
        path.chmod(0o644)
    except OSError as error:
        raise PitrError(
            f"cannot write {path}: {error.strerror}",
            hint="node_exporter's textfile directory must exist, and this user write to it.",
        ) from None


def serve(address: str, port: int, gather: Gather, labels: Mapping[str, str] = NONE) -> None:
    """Serve the metrics over HTTP until the process ends; raises PitrError if it cannot."""
    try:
        _, thread = start_http_server(port, addr=address, registry=_registry(gather, labels))
    except OSError as error:
        raise PitrError(
            f"cannot listen on {address}:{port}: {error.strerror}",
            hint="Choose another port, or see what listens there.",
        ) from None
    thread.join()


def _registry(gather: Gather, labels: Mapping[str, str]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    collector = _Collector(gather, labels)
    registry.register(collector)
    return registry
