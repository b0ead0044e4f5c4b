"""What a run tells Prometheus: one table, from which exporter, dashboard and alerts are made.

A metric is a number of `metrics.jsonl` (see `Run.report`) under a name of its own. A key that ends in `*` stands for
several numbers, told apart by a label. Ray exports them beside its own, as `ray_NAME`, on each node's metrics port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

PREFIX = "ray_"  # Ray puts it before every name
RUN = "run"


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: as it is registered; Ray exports a counter as `ray_NAME_total`, a gauge as `ray_NAME`.
        kind: a counter only grows, over all resumes of a run.
        key: of the number in metrics.jsonl; with `*` at its end, of several.
        label: what the `*` stands for.
        unit: of Grafana.
        panel: title of the panel that shows it; metrics of one title share a panel.
        text: what it is.
    """

    name: str
    kind: Literal["counter", "gauge"]
    key: str
    label: str
    unit: str
    panel: str
    text: str

    @property
    def exported(self) -> str:
        """The name that Prometheus knows."""
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")


METRICS = (
    Metric("guerdon_frames", "counter", "frames", "", "short", "Frames", "environment steps gathered; tokens written"),
    Metric("guerdon_learnt_frames", "counter", "learnt_frames", "", "short", "Frames", "frames the learner consumed"),
    Metric("guerdon_frames_per_s", "gauge", "frames_per_s", "", "short", "Speed", "frames/s over the latest updates"),
    Metric("guerdon_updates", "counter", "updates", "", "short", "Updates", "updates of the learner"),
    Metric(
        "guerdon_progress_ratio", "gauge", "progress", "", "percentunit", "Progress", "share of the run that is done"
    ),
    Metric("guerdon_episodes", "counter", "episodes", "", "short", "Episodes", "episodes that ended; answers"),
    Metric("guerdon_episode_return", "gauge", "episode_return", "", "short", "Return", "mean of the last 100 episodes"),
    Metric("guerdon_success_ratio", "gauge", "success_rate", "", "percentunit", "Success", "share of episodes solved"),
    Metric(
        "guerdon_policy_lag", "gauge", "learner/policy_lag_mean", "", "short", "Weights", "age of weights, versions"
    ),
    Metric("guerdon_staleness", "gauge", "learner/staleness_max", "", "short", "Weights", "oldest answer, versions"),
    Metric(
        "guerdon_queue", "gauge", "queue/*", "queue", "short", "Queues", "what waits: fragments, rollouts, questions"
    ),
    Metric(
        "guerdon_judged_ratio",
        "gauge",
        "annotated_share",
        "",
        "percentunit",
        "Judged",
        "captioned steps with a verdict",
    ),
    Metric(
        "guerdon_label_lag_seconds", "gauge", "judge/lag_s", "", "s", "Label lag", "median, from question to verdict"
    ),
    Metric("guerdon_judge_requests", "counter", "judge/requests", "", "short", "Judge", "calls of the judge"),
    Metric("guerdon_judge_questions", "counter", "judge/asked", "", "short", "Judge", "questions asked"),
    Metric("guerdon_judge_verdicts", "counter", "judge/ok", "", "short", "Judge", "verdicts with a value"),
    Metric("guerdon_judge_failures", "counter", "judge/failed/*", "status", "short", "NULL verdicts", "by status"),
    Metric("guerdon_judge_tokens", "counter", "judge/tokens", "", "short", "Tokens", "tokens the judge reported"),
    Metric("guerdon_judge_cost", "counter", "judge/cost", "", "short", "Cost", "in the currency of the prices"),
    Metric(
        "guerdon_budget_left_ratio", "gauge", "budget/left/*", "of", "percentunit", "Budget left", "share that is left"
    ),
    Metric(
        "guerdon_deaths", "counter", "deaths/*", "role", "short", "Deaths", "deaths by role; each was started again"
    ),
    Metric("guerdon_lost_fragments", "counter", "lost_fragments", "", "short", "Lost rollouts", "with their actor"),
    Metric(
        "guerdon_storage_age_seconds",
        "gauge",
        "storage/age_s",
        "",
        "s",
        "Mirror",
        "how old the newest copy elsewhere is",
    ),
    Metric("guerdon_storage_failures", "counter", "storage/failures", "", "short", "Mirror", "copies that failed"),
    Metric(
        "guerdon_ledger_imbalance",
        "gauge",
        "ledger/imbalance",
        "",
        "short",
        "Ledger",
        "what the accounts miss: 0, always",
    ),
    Metric(
        "guerdon_quarantined_judges", "gauge", "judge/quarantined", "", "short", "Quarantine", "judges not believed now"
    ),
)


def samples(numbers: Mapping[str, float]) -> Iterator[tuple[Metric, str, float]]:
    """The metrics that there are numbers for: metric, value of its label (or ""), number."""
    for metric in METRICS:
        if not metric.key.endswith("*"):
            if metric.key in numbers:
                yield metric, "", numbers[metric.key]
            continue
        start = metric.key[:-1]
        for key in sorted(key for key in numbers if key.startswith(start)):
            yield metric, key[len(start) :], numbers[key]
