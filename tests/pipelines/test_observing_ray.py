"""A run on Ray exports every metric of the table that it has a number for."""

from __future__ import annotations

import time
import urllib.request

import pytest
import ray

from cluster.session import Config, ray_session
from pipelines.observing.exporter import RayMetrics
from pipelines.observing.metrics import METRICS

pytestmark = pytest.mark.cluster


def test_what_is_scraped_is_the_table():
    numbers = {metric.key.replace("*", "some"): 7.0 for metric in METRICS}
    with ray_session(Config(object_store_mb=100), 2):
        export = RayMetrics("a-run")
        port, until = ray.nodes()[0]["MetricsExportPort"], time.monotonic() + 90
        while True:
            export(numbers)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
                lines = reply.read().decode().splitlines()
            found = {line.partition("{")[0]: line for line in lines if line.startswith("ray_guerdon_")}
            if set(found) == {metric.exported for metric in METRICS} or time.monotonic() > until:
                break
            time.sleep(2)
    assert set(found) == {metric.exported for metric in METRICS}
    assert all('run="a-run"' in line and line.endswith(" 7.0") for line in found.values())
    assert 'role="some"' in found["ray_guerdon_deaths_total"]
