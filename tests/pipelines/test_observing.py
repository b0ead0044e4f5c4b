"""One table of metrics: what dashboard and alerts ask for is exported, and what is exported is asked for."""

from __future__ import annotations

import re
from collections import Counter

import promql_parser
import pytest

from pipelines.manifests import HOUSE
from pipelines.observing.alerts import ALERTS, rules
from pipelines.observing.dashboard import dashboard
from pipelines.observing.metrics import METRICS, samples

EXPORTED = {metric.exported for metric in METRICS}
HEADINGS = re.findall(r"^### (\w+)$", (HOUSE / "docs/operations.md").read_text(encoding="utf-8"), re.M)


def asked_for(expression: str) -> set[str]:
    """Names of the series of a PromQL expression; fails where it is none."""
    tree = promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    return set(re.findall(r"ray_\w+", str(tree)))


def queries() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_every_metric_and_no_other():
    assert set().union(*map(asked_for, queries())) == EXPORTED


def test_alerts_ask_for_metrics_that_there_are():
    for alert in ALERTS:
        assert asked_for(alert.expression) and asked_for(alert.expression) <= EXPORTED, alert.name


def test_a_run_that_came_to_its_end_wakes_nobody():
    silent = next(alert for alert in ALERTS if alert.name == "GuerdonRunSilent")
    rest, done = str(promql_parser.parse(silent.expression)).rsplit("unless on (run)", 1)
    assert "ray_guerdon_progress_ratio" in done and "> 0.95" in done, "a comparison binds closer than unless"
    assert rest.count("unless on (run)") == 1 and "progress" not in rest


def test_a_name_that_is_not_exported_is_noticed():
    assert not asked_for("max by (run) (ray_guerdon_frames_pers) > 1") <= EXPORTED
    with pytest.raises(ValueError):
        asked_for("max by run (ray_guerdon_frames_per_s")


def test_every_alert_has_its_entry_in_the_runbook_and_every_entry_its_alert():
    assert [alert.name for alert in ALERTS] == HEADINGS
    for rule in rules()["groups"][0]["rules"]:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_names_are_unique_and_labels_belong_to_starred_keys():
    assert len(EXPORTED) == len(METRICS)
    assert all(metric.key.endswith("*") == bool(metric.label) for metric in METRICS)
    assert all(re.fullmatch(r"guerdon_[a-z_]+", metric.name) for metric in METRICS)


def test_panels_do_not_overlap():
    places = Counter(
        (x, y)
        for panel in dashboard()["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    )
    assert max(places.values()) == 1 and max(x for x, _ in places) == 23


def test_numbers_become_samples_with_their_labels_and_what_is_not_known_is_left_out():
    numbers = {"frames": 5.0, "deaths/learner": 1.0, "deaths/env-actor": 2.0, "elapsed_s": 3.0}
    found = [(metric.name, label, value) for metric, label, value in samples(numbers)]
    assert found == [
        ("guerdon_frames", "", 5.0),
        ("guerdon_deaths", "env-actor", 2.0),
        ("guerdon_deaths", "learner", 1.0),
    ]
