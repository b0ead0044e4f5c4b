"""`RayMetrics`: hands a run's numbers to Ray, which exports them on the metrics port of the node of the driver.

Ray forgets a gauge that has not been set for 20 s: a run that is gone, or hangs, has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.observing.metrics import METRICS, RUN, samples


class RayMetrics:
    """The metrics of one run; Ray has been started or joined."""

    def __init__(self, run: str) -> None:
        """Register every metric.

        Args:
            run: its name; the label by which runs are told apart.
        """
        from ray.util.metrics import Counter, Gauge

        kinds: dict[str, Any] = {"counter": Counter, "gauge": Gauge}
        self._run = run
        self._counted: dict[tuple[str, str], float] = {}
        self._metrics = {
            metric.name: kinds[metric.kind](
                metric.name, metric.text, tag_keys=(RUN, *((metric.label,) if metric.label else ()))
            )
            for metric in METRICS
        }

    def __call__(self, numbers: Mapping[str, float]) -> None:
        """Export the numbers of one report; what is not among them stays as it is."""
        for metric, label, value in samples(numbers):
            tags = {RUN: self._run, **({metric.label: label} if metric.label else {})}
            if metric.kind == "gauge":
                self._metrics[metric.name].set(value, tags)
                continue
            more = value - self._counted.get((metric.name, label), 0.0)
            if more > 0:  # a counter takes no less, and no 0
                self._metrics[metric.name].inc(more, tags)
                self._counted[metric.name, label] = value
