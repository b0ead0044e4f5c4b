"""A run on Ray exports every metric of the table that it has a number for."""

from __future__ import annotations

import time
import urllib.request
from http.client import HTTPException

import pytest
import ray

from cluster.session import Config, ray_session
from pipelines.observing.exporter import RayMetrics
from pipelines.observing.metrics import METRICS

pytestmark = pytest.mark.cluster


def exported(port):
    """Lines about the run; none where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
            return [line for line in reply.read().decode().splitlines() if line.startswith("ray_guerdon_")]
    except (OSError, HTTPException):
        return []


def test_what_is_scraped_is_the_table(monkeypatch):
    monkeypatch.setenv("RAY_metrics_report_interval_ms", "500")
    numbers = {metric.key.replace("*", "some"): 7.0 for metric in METRICS}
    with ray_session(Config(object_store_mb=100), 2):
        export = RayMetrics("a-run")
        port, until, found = ray.nodes()[0]["MetricsExportPort"], time.monotonic() + 300, {}
        while set(found) != {metric.exported for metric in METRICS} and time.monotonic() < until:
            export(numbers)
            time.sleep(0.5)
            found = {line.partition("{")[0]: line for line in exported(port)}
    assert set(found) == {metric.exported for metric in METRICS}
    assert all('run="a-run"' in line and line.endswith(" 7.0") for line in found.values())
    assert 'role="some"' in found["ray_guerdon_deaths_total"]
