"""The Grafana dashboard, made from the table of metrics: a panel for each title, told apart by run."""

from __future__ import annotations

from typing import Any

from pipelines.observing.metrics import METRICS, Metric

WIDTH, HEIGHT, COLUMNS = 8, 7, 3
SOURCE = {"type": "prometheus", "uid": "${source}"}


def query(metric: Metric) -> str:
    """What a panel asks for: a counter as its growth by the second, except where the total is what matters."""
    by = ", ".join(filter(None, ("run", metric.label)))
    chosen = f'{metric.exported}{{run=~"$run"}}'
    if metric.kind == "gauge":
        return f"max by ({by}) ({chosen})"
    if metric.panel in ("Deaths", "Cost", "Lost rollouts"):
        return f"sum by ({by}) ({chosen})"
    return f"sum by ({by}) (rate({chosen}[$__rate_interval]))"


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    titles = list(dict.fromkeys(metric.panel for metric in METRICS))
    panels = [_panel(number, title) for number, title in enumerate(titles)]
    runs = "label_values(ray_guerdon_frames_per_s, run)"
    variables = [
        {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "run",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": runs, "refId": "run"},
            "definition": runs,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "current": {"text": "All", "value": "$__all"},
        },
    ]
    return {
        "uid": "guerdon",
        "title": "Guerdon",
        "tags": ["guerdon", "ray"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": variables},
        "panels": panels,
    }


def _panel(number: int, title: str) -> dict[str, Any]:
    metrics = [metric for metric in METRICS if metric.panel == title]
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query(metric),
            "legendFormat": " ".join(
                filter(
                    None,
                    ("{{run}}", metric.name.removeprefix("guerdon_"), f"{{{{{metric.label}}}}}" * bool(metric.label)),
                )
            ),
        }
        for index, metric in enumerate(metrics)
    ]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": "; ".join(f"{metric.exported}: {metric.text}" for metric in metrics),
        "datasource": SOURCE,
        "gridPos": {"x": number % COLUMNS * WIDTH, "y": number // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": metrics[0].unit, "min": None}, "overrides": []},
        "targets": targets,
    }
