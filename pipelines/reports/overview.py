"""What a run was, and what came of it: tiles, facts side by side, evaluation, versions and settings."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from pipelines.reports.charts import COLOURS
from pipelines.reports.data import RunData
from pipelines.reports.markup import details, facts_list, table, text
from pipelines.reports.seeds import Group, differences
from pipelines.results import commit, versions
from pipelines.stored.records import (
    NOT_KNOWN,
    Records,
    branch,
    count_text,
    deaths_by_role,
    facts,
    number_text,
)


def tiles(run: Records) -> str:
    """The numbers that are looked at first."""
    known = dict(facts(run))
    names = (
        "updates",
        "tokens",
        "time",
        "tokens/s",
        "reward (last update)",
        "pass@1",
        "versions old, at most",
        "ledger",
    )
    shown = (
        [(name, known[name]) for name in names]
        if run.language
        else [
            ("frames", count_text(run.latest("learnt_frames"))),
            ("time", known["time"]),
            ("frames/s", known["frames/s"]),
            ("episode return", known["episode return (last 100)"]),
            ("task success", known["task success (last 100)"]),
            ("annotated", known["annotated share"]),
            ("deaths", count_text(sum(deaths_by_role(run).values()))),
            ("ledger", known["ledger"]),
        ]
    )
    return (
        '<div class="tiles">'
        + "".join(f"<div><b>{text(v)}</b><span>{text(k)}</span></div>" for k, v in shown)
        + "</div>"
    )


def facts_table(runs: Sequence[Records], groups: Sequence[Group]) -> str:
    """What was run and what came of it, side by side; the colour of a run is that of its recipe."""
    columns = [facts(run) for run in runs]
    if len(columns) == 1:
        return facts_list(columns[0])
    if not columns:
        return ""
    colour = {member: index % COLOURS for index, group in enumerate(groups) for member in group.members}
    names = "".join(
        f'<th scope="col"><i class="key s{colour[place]}"></i>{text(run.name)}</th>' for place, run in enumerate(runs)
    )
    head = f'<thead><tr><th scope="col"><span class="sr">what</span></th>{names}</tr></thead>'
    known = [dict(column) for column in columns]
    rows = "".join(
        f'<tr><th scope="row">{text(label)}</th>'
        f"{''.join(f'<td>{text(one.get(label, NOT_KNOWN))}</td>' for one in known)}</tr>"
        for label in dict.fromkeys(label for column in columns for label, _ in column)
    )
    shown = f'<table><caption class="sr">The runs</caption>{head}<tbody>{rows}</tbody></table>'
    apart = [
        (key, *(NOT_KNOWN if value is None else value for value in values))
        for key, values in differences([run.config for run in runs]).items()
    ]
    told = table(("setting", *(run.name for run in runs)), apart, label="Settings in which the runs differ")
    differ = f"<h3>Settings in which they differ</h3>{told}" if apart else ""
    return f'<div class="wide" role="region" tabindex="0" aria-label="The runs">{shown}</div>{differ}'


def evaluation(runs: Sequence[Records]) -> str:
    """What `guerdon evaluate` found, where it was run."""
    rows = []
    for run in runs:
        if not run.evaluation:
            continue
        about = f"{run.evaluation.get('episodes')} episodes, seed {run.evaluation.get('seed')}, " + (
            "greedy" if run.evaluation.get("greedy") else "sampled"
        )
        for name, figure in branch(run.evaluation, "figures").items():
            interval = (
                f"{number_text(figure['low'])} to {number_text(figure['high'])}"
                if figure.get("low") is not None
                else NOT_KNOWN
            )
            rows.append((run.name, about, name, number_text(figure.get("value")), interval))
    return table(("run", "played", "figure", "value", "95 % interval"), rows, numbers=(3, 4))


def weights(run: RunData) -> str:
    """Versions of policy, reward model, reward view, judge and reward."""
    records = run.records
    rows = [
        ("policy version", count_text(records.latest("updates"))),
        ("age of weights when acting (versions)", number_text(records.latest("learner/policy_lag_mean"))),
    ]
    if records.language:
        return table(("", ""), rows[:1], label="Weights")
    found = run.evidence
    rows.append(("newest checkpoint (frames)", count_text(found.frames)))
    if records.judged:
        rows.append(("reward model version", count_text(records.latest("reward_model/version"))))
        rows.append(("reward model labels", count_text(records.latest("reward_model/labels"))))
    if found.stage is not None:
        rows.append(("reward view", found.stage.view.formula()))
        rows.append(("reward view version", found.stage.view.version))
    judges = {v.judge_fingerprint for vs in found.verdicts.values() for v in vs if v.judge_fingerprint}
    if judges:
        rows.append(("judge fingerprint", ", ".join(sorted(judges))))
        versions_of = {v.reward_version for vs in found.verdicts.values() for v in vs}
        rows.append(("reward version", ", ".join(sorted(versions_of))))
    return table(("", ""), rows, label="Weights and versions")


def settings(run: Records) -> str:
    """The resolved experiment."""
    if not run.config:
        return ""
    lines = yaml.safe_dump(dict(run.config), sort_keys=False).splitlines()
    return details("config.yaml", "<pre>" + "\n".join(map(text, lines)) + "</pre>")


def version_line() -> str:
    """The installation that wrote the page."""
    found = {"guerdon commit": commit(), **versions()}
    note = "Of the installation that wrote this page."
    return f'<p class="versions">{text(", ".join(f"{k} {v}" for k, v in found.items()))}</p><p class="none">{note}</p>'
