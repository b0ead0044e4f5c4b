"""What wakes somebody up: Prometheus rules, each with a heading in docs/operations.md that says what to do."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

RUNBOOK = "docs/operations.md"


class Alert(NamedTuple):
    """One rule.

    Attributes:
        name: also the heading in the runbook.
        expression: PromQL; true is bad.
        minutes: how long it must be true.
        severity: "page" wakes somebody up, "ticket" waits for the morning.
        text: what has happened, in one sentence.
    """

    name: str
    expression: str
    minutes: int
    severity: Literal["page", "ticket"]
    text: str


ALERTS = (
    Alert(
        "GuerdonLearnerStalled",
        "sum by (run) (rate(ray_guerdon_updates_total[10m])) == 0 and on (run) max by (run) (ray_guerdon_frames_per_s)",
        5,
        "page",
        "The run reports, and its learner has made no update for ten minutes.",
    ),
    Alert(
        "GuerdonRunSilent",
        "max by (run) (max_over_time(ray_guerdon_frames_per_s[30m])) unless on (run) "
        "max by (run) (ray_guerdon_frames_per_s) unless on (run) "
        "max by (run) (max_over_time(ray_guerdon_progress_ratio[30m])) > 0.95",
        5,
        "page",
        "The run reported within the last half hour, was not near its end, and does not report any more.",
    ),
    Alert(
        "GuerdonLedgerImbalance",
        "max by (run) (ray_guerdon_ledger_imbalance) > 0",
        2,
        "page",
        "The accounts do not balance: experience or verdicts are missing, or are there twice.",
    ),
    Alert(
        "GuerdonJudgeFailing",
        "sum by (run) (increase(ray_guerdon_judge_failures_total[15m])) > "
        "0.2 * sum by (run) (increase(ray_guerdon_judge_questions_total[15m]))",
        5,
        "page",
        "More than a fifth of the questions end as a NULL verdict.",
    ),
    Alert(
        "GuerdonJudgeQuarantined",
        "max by (run) (ray_guerdon_quarantined_judges) > 0",
        1,
        "page",
        "A judge got its canaries wrong, and is not believed.",
    ),
    Alert(
        "GuerdonLabelLag",
        "max by (run) (ray_guerdon_label_lag_seconds) > 60",
        10,
        "ticket",
        "Half of the verdicts come more than a minute late.",
    ),
    Alert(
        "GuerdonBudgetNearlySpent",
        "min by (run, of) (ray_guerdon_budget_left_ratio) < 0.1",
        1,
        "ticket",
        "Less than a tenth of the judge's budget is left.",
    ),
    Alert(
        "GuerdonRoleKeepsDying",
        "sum by (run, role) (increase(ray_guerdon_deaths_total[15m])) > 5",
        1,
        "ticket",
        "A role died more than five times within a quarter of an hour.",
    ),
    Alert(
        "GuerdonMirrorBehind",
        "max by (run) (ray_guerdon_storage_age_seconds) > 1800",
        5,
        "ticket",
        "The copy of the run that is kept elsewhere is more than half an hour old.",
    ),
    Alert(
        "GuerdonSlow",
        "max by (run) (ray_guerdon_frames_per_s) < 0.5 * max by (run) (avg_over_time(ray_guerdon_frames_per_s[6h]))",
        15,
        "ticket",
        "The run is less than half as fast as over the last six hours.",
    ),
    Alert(
        "GuerdonStale",
        "max by (run) (ray_guerdon_policy_lag) > 10 or max by (run) (ray_guerdon_staleness) > 10",
        15,
        "ticket",
        "The learner learns from experience of weights that are more than ten versions old.",
    ),
)


def rules() -> dict[str, Any]:
    """The alerts as a file of Prometheus rules."""
    found = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": f"{alert.minutes}m",
            "labels": {"severity": alert.severity},
            "annotations": {
                "summary": alert.text,
                "description": "run {{ $labels.run }}: {{ $value }}",
                "runbook": f"{RUNBOOK}#{alert.name.lower()}",
            },
        }
        for alert in ALERTS
    ]
    return {"groups": [{"name": "guerdon", "interval": "30s", "rules": found}]}
