"""The report as a page: one file without scripts and without anything from elsewhere.

It follows the reader's light or dark setting and prints. Captions, causes and messages come out of the world and out
of judges, so every text is escaped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import yaml

from pipelines.charts import COLOURS, Series, line_chart, short
from pipelines.evidence import Evidence, gather, printable, verdict_text
from pipelines.records import (
    NOT_KNOWN,
    Records,
    at,
    branch,
    clock_text,
    count_text,
    deaths_by_role,
    facts,
    failures_by_status,
    judge_lines,
    lag_text,
    most_common,
    number_text,
    percent_text,
    plural,
    state,
)
from pipelines.results import commit, versions
from rewards.verdicts import Status

TOP_CAPTIONS = 10
MAX_EVENTS = 200
ANSWERS = 4


def render_page(runs: Sequence[Records]) -> str:
    """The page as text."""
    title = " · ".join(dict.fromkeys(str(at(run.config, "task") or run.name) for run in runs)) or "no run"
    several = len(runs) > 1
    body = [
        f"<header><h1>{_text(title)}</h1><p>{_text(_subtitle(runs))}</p></header>",
        *([] if several or not runs else _section("", lambda: _tiles(runs[0]))),
        *_section("The runs" if several else "The run", lambda: _facts_table(runs)),
        *_section("Curves", lambda: _curves(runs)),
        *_section("Evaluation", lambda: _evaluation(runs)),
    ]
    for index, run in enumerate(runs):
        if several:
            body.append(f'<h2 class="run"><i class="key s{index % COLOURS}"></i>{_text(run.name)}</h2>')
        body += _run_sections(run)
    body += _section("Versions", _versions)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{_text(title)} · Guerdon</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _run_sections(run: Records) -> Iterator[str]:
    """What is told of each run by itself."""
    evidence: list[Evidence] = []

    def captions() -> str:
        evidence.append(gather(run.directory))
        return _captions(run, evidence[0])

    def answers() -> str:
        from pipelines.language.inspect import inspect_language

        lines = [line for text in inspect_language(run.directory, "", ANSWERS) for line in text.splitlines()]
        return "<pre>" + "\n".join(map(_text, lines)) + "</pre>"

    if run.language:
        told = list(_section("Answers", answers))
    else:
        told = list(_section("Captions and verdicts", captions))  # first, since it finds out what is missing
    missing = [*run.missing, *(text for found in evidence for text in found.missing)]
    if missing:
        items = "".join(f"<li>{_text(text)}</li>" for text in dict.fromkeys(missing))
        yield f'<section class="missing"><h2>What is missing</h2><ul>{items}</ul></section>'
    yield from told
    yield from _section("Ledger", lambda: _ledger(run))
    yield from _section("Failures by cause", lambda: _failure_table(run))
    yield from _section("Deaths and other events", lambda: _events(run))
    yield from _section("Weights", lambda: _weights(run, evidence))
    yield from _section("Settings", lambda: _settings(run))


def _section(title: str, content: Callable[[], str]) -> Iterator[str]:
    """A titled section; nothing where there is nothing to tell.

    A fault in one section costs that section only: a run of many hours is not left without its report.
    """
    try:
        html = content()
    except Exception as error:
        html = f'<p class="none">This part could not be made: {_text(f"{type(error).__name__}: {error}")}</p>'
    if html:
        heading = f"<h2>{_text(title)}</h2>" if title else ""
        yield f"<section>{heading}{html}</section>"


def _text(value: object) -> str:
    """Text for the page: without control characters, without secrets in addresses, escaped."""
    return escape(re.sub(r"//[^/@\s]+@", "//…@", printable(str(value))))


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = (), note: str = "") -> str:
    """A table; columns in `numbers` are aligned as numbers. Where there is no row, the note alone."""
    body = ""
    for row in rows:
        cells = (
            f'<td class="n">{_text(cell)}</td>' if column in numbers else f"<td>{_text(cell)}</td>"
            for column, cell in enumerate(row)
        )
        body += f"<tr>{''.join(cells)}</tr>"
    said = f'<p class="none">{_text(note)}</p>' if note else ""
    if not body:
        return said
    titles = "".join(
        f'<th class="n">{_text(t)}</th>' if c in numbers else f"<th>{_text(t)}</th>" for c, t in enumerate(head)
    )
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>{said}'


def _subtitle(runs: Sequence[Records]) -> str:
    written = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    if len(runs) == 1:
        return f"{runs[0].name}, {state(runs[0])}, report of {written}"
    return f"{len(runs)} runs side by side, report of {written}"


def _tiles(run: Records) -> str:
    known = dict(facts(run))
    names = ("updates", "tokens", "time", "tokens/s", "reward (last update)", "pass@1", "staleness", "ledger")
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
        + "".join(f"<div><b>{_text(v)}</b><span>{_text(k)}</span></div>" for k, v in shown)
        + "</div>"
    )


def _facts_table(runs: Sequence[Records]) -> str:
    columns = [facts(run) for run in runs]
    if len(columns) == 1:
        items = "".join(f"<div><dt>{_text(label)}</dt><dd>{_text(value)}</dd></div>" for label, value in columns[0])
        return f'<dl class="facts">{items}</dl>'
    if not columns:
        return ""
    names = "".join(
        f'<th><i class="key s{index % COLOURS}"></i>{_text(run.name)}</th>' for index, run in enumerate(runs)
    )
    head = f"<thead><tr><th></th>{names}</tr></thead>"
    known = [dict(column) for column in columns]
    rows = "".join(
        f"<tr><th>{_text(label)}</th>{''.join(f'<td>{_text(one.get(label, NOT_KNOWN))}</td>' for one in known)}</tr>"
        for label in dict.fromkeys(label for column in columns for label, _ in column)
    )
    return f'<div class="wide"><table>{head}<tbody>{rows}</tbody></table></div>'


@dataclass(frozen=True)
class Curve:
    """One chart: a metric, its title and what bounds its axis."""

    key: str
    title: str
    low: float | None = None
    high: float | None = None
    percent: bool = False
    needs_judge: bool = False


CURVES = (
    Curve("episode_return", "Episode return (mean of last 100)"),
    Curve("success_rate", "Task success (of last 100)", 0, 1, percent=True),
    Curve("learner/reward_intrinsic", "Intrinsic reward a step, as trained on"),
    Curve("learner/reward_extrinsic", "Extrinsic reward a step, as trained on"),
    Curve("annotated_share", "Annotated share of captioned steps", 0, 1, percent=True, needs_judge=True),
    Curve("judge/lag_s", "Label lag, median (s)", 0, needs_judge=True),
    Curve("learner/entropy", "Policy entropy (nats)", 0),
    Curve("frames_per_s", "Frames/s", 0),
)


LANGUAGE_CURVES = (
    Curve("episode_return", "Reward (mean of an update)"),
    Curve("success_rate", "pass@1 on the test split", 0, 1, percent=True),
    Curve("learner/entropy", "Policy entropy (nats)", 0),
    Curve("learner/kl", "KL to the reference (nats)"),
    Curve("learner/staleness_max", "Age of the oldest answer of an update (versions)", 0),
    Curve("episode_length", "Tokens an answer", 0),
    Curve("learner/groups_without_signal", "Share of groups in which all earned the same", 0, 1, percent=True),
    Curve("frames_per_s", "Tokens/s", 0),
)


def _curves(runs: Sequence[Records]) -> str:
    charts, without = [], []
    for curve in LANGUAGE_CURVES if all(run.language for run in runs) else CURVES:
        series = [Series(run.name, _points(run, curve)) for run in runs]
        drawing = line_chart(series, curve.low, curve.high, curve.percent)
        if drawing:
            latest = _legend(runs, series, curve)
            charts.append(f"<figure><figcaption>{_text(curve.title)}</figcaption>{drawing}{latest}</figure>")
        else:
            without.append(curve.title)
    note = f'<p class="none">Without data: {_text(", ".join(without))}.</p>' if without else ""
    return (
        f'<div class="charts">{"".join(charts)}</div>'
        + (f'<p class="none">Over {runs[0].unit} learnt from.</p>' if charts else "")
        + note
    )


def _points(run: Records, curve: Curve) -> list[tuple[float, float]]:
    """A curve's points, without numbers that only stand for nothing having happened yet."""
    if curve.needs_judge and not run.judged:
        return []
    if curve.key == "learner/reward_intrinsic" and run.source == "extrinsic":
        return []
    rows = run.rows
    if curve.key == "judge/lag_s":
        rows = [row for row in rows if row.get("judge/ok", 0) + row.get("judge/failed", 0) > 0]
    if curve.key == "frames_per_s":
        rows = [row for row in rows if row.get("updates", 0) > 1]
    return [(row["learnt_frames"], row[curve.key]) for row in rows if curve.key in row]


def _legend(runs: Sequence[Records], series: Sequence[Series], curve: Curve) -> str:
    if len(runs) == 1:
        return ""
    items = []
    for index, one in enumerate(series):
        last = (
            NOT_KNOWN
            if not one.points
            else f"{100 * one.points[-1][1]:.0f} %"
            if curve.percent
            else short(one.points[-1][1])
        )
        items.append(f'<li><i class="key s{index % COLOURS}"></i>{_text(one.name)} <b>{_text(last)}</b></li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _evaluation(runs: Sequence[Records]) -> str:
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
    return _table(("run", "played", "figure", "value", "95 % interval"), rows, numbers=(3, 4))


def _captions(run: Records, evidence: Evidence) -> str:
    """The most and the least rewarded captions, as the newest checkpoint sees them."""
    if not evidence.captions:
        return '<p class="none">No captions are known: the task has none, or there is no checkpoint yet.</p>'
    idents = np.array(sorted(evidence.captions), np.int64)
    score: dict[int, float] = {}
    if evidence.stage is not None and evidence.stage.model is not None:
        values, valid = evidence.stage.model.score(idents)
        score = {int(i): float(v) for i, v, ok in zip(idents, values, valid, strict=True) if ok}
    total = sum(evidence.frequency.values())
    judged = sum(any(v.status is Status.OK for v in evidence.verdicts.get(int(i), ())) for i in idents)
    said = f"{plural(len(idents), 'caption')} on {plural(total, 'step')}"
    if run.judged:
        said += f", {judged:,} with a verdict, {len(score):,} with a reward from the reward model"

    def line(ident: int) -> tuple[str, ...]:
        times = evidence.frequency.get(ident)
        share = percent_text(times / total) if times is not None and total else NOT_KNOWN
        told = (evidence.captions[ident], count_text(times), share)
        return (*told, number_text(score.get(ident)), verdict_text(evidence, ident)) if run.judged else told

    head = ("caption", "steps", "share", "reward", "verdict")[: 5 if run.judged else 3]
    often = sorted((int(i) for i in idents), key=lambda i: -evidence.frequency.get(i, 0))
    if not score:
        shown = often[: 2 * TOP_CAPTIONS]
        title = "Most frequent" if len(shown) < len(often) else "All"
        return f"<p>{_text(said)}.</p><h3>{title}</h3>" + _table(
            head, map(line, shown), numbers=(1, 2, 3)[: len(head) - 2]
        )
    ranked = sorted((i for i in often if i in score), key=lambda i: -score[i])  # stable: frequent ones first
    parts = [("By reward", ranked)]
    if len(ranked) > 2 * TOP_CAPTIONS:
        least = sorted(ranked, key=lambda i: score[i])[:TOP_CAPTIONS]
        parts = [("Most rewarded", ranked[:TOP_CAPTIONS]), ("Least rewarded", least)]
    if unknown := [i for i in often if i not in score]:
        parts.append(("Without a reward (NULL), most frequent", unknown[:TOP_CAPTIONS]))
    tables = "".join(f"<h3>{_text(name)}</h3>{_table(head, map(line, ids), numbers=(1, 2, 3))}" for name, ids in parts)
    note = "Reward: of the reward model, before coefficient and decay by count."
    return f"<p>{_text(said)}.</p>{tables}" + f'<p class="none">{note}</p>'


def _ledger(run: Records) -> str:
    experience, books = branch(run.ledger, "experience"), branch(run.ledger, "verdicts")
    parts = []
    if experience:
        outcomes = [("learnt from", experience.get("sampled")), ("waiting", experience.get("live"))]
        outcomes += [(f"dropped: {why}", count) for why, count in branch(experience, "dropped").items()]
        rows = [("gathered", experience.get("accepted")), *outcomes]
        table = _table(
            ("experience", "groups" if run.language else "fragments", "rows", run.unit),
            [
                (label, *(count_text(at(count, unit)) for unit in ("fragments", "rows", "frames")))
                for label, count in rows
            ],
            numbers=(1, 2, 3),
        )
        beside = (
            f"Not accepted: {plural(experience.get('duplicates', 0), 'duplicate')}, "
            f"{count_text(experience.get('fenced'))} from replaced actors. "
            f"{plural(at(run.ledger, 'lost_rollouts') or 0, 'rollout')} lost with their actor."
        )
        parts.append(f"<div>{table}<p>{_text(beside)}</p>{_badge(experience.get('balanced'))}</div>")
    if books and run.judged:
        rows = [("asked", books.get("asked")), ("ok", books.get("ok"))]
        rows += [(f"NULL: {status}", n) for status, n in branch(books, "failures").items()]
        rows += [
            (name, books.get(key))
            for name, key in (
                ("shed", "shed"),
                ("pending", "pending"),
                ("with the judge", "in_flight"),
                ("dropped", "dropped"),
            )
        ]
        table = _table(("questions", ""), [(label, count_text(n)) for label, n in rows], numbers=(1,))
        beside = (
            f"{plural(books.get('batches', 0), 'request')}, {plural(books.get('retries', 0), 'retry')}, "
            f"{plural(books.get('duplicates', 0), 'question')} not asked twice, "
            f"{plural(books.get('tokens', 0), 'token')}. "
            f"Label lag: {lag_text(run)}."
        )
        told = "".join(f"<p>{_text(line)}</p>" for line in judge_lines(run.ledger))
        parts.append(f"<div>{table}<p>{_text(beside)}</p>{told}{_badge(books.get('balanced'))}</div>")
    if not parts:
        return '<p class="none">There is no ledger yet.</p>'
    return f'<div class="pair">{"".join(parts)}</div>'


def _badge(balanced: object) -> str:
    word, kind = ("yes", "good") if balanced is True else ("no", "bad") if balanced is False else ("not known", "none")
    return f'<p><span class="badge {kind}">balanced: {word}</span></p>'


def _failure_table(run: Records) -> str:
    if not run.judged:
        return ""
    causes = branch(run.ledger, "verdicts", "causes")
    rows = []
    for cause, tries in most_common(causes, 50):
        status, _, why = cause.partition(": ")
        rows.append((status, why, count_text(tries)))
    final = failures_by_status(run)
    ended = ", ".join(f"{n} {status}" for status, n in final.items()) or "none"
    note = f"Tries that failed, those that were retried included. Questions that ended without a value: {ended}."
    return _table(("status", "cause", "tries"), rows, numbers=(2,), note=note if rows or final else "No try failed.")


def _events(run: Records) -> str:
    begin = next((row["time"] - row.get("elapsed_s", 0.0) for row in run.rows if "time" in row), None)
    died, recovered = (sum(event.get("what") == what for event in run.events) for what in ("died", "recovered"))
    rows = []
    for event in run.events[-MAX_EVENTS:]:
        at, seconds = event.get("time_s"), event.get("recovered_s")
        stamp = after = NOT_KNOWN
        if isinstance(at, (int, float)):
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
            after = NOT_KNOWN if begin is None else clock_text(at - begin)
        rows.append(
            (
                stamp,
                after,
                event.get("role", NOT_KNOWN),
                event.get("what", NOT_KNOWN),
                number_text(seconds) if isinstance(seconds, (int, float)) else "",
                event.get("cause", ""),
            )
        )
    note = f"{plural(died, 'death')}, {plural(recovered, 'recovery').replace('recoverys', 'recoveries')}."
    if len(run.events) > MAX_EVENTS:
        note += f" The latest {MAX_EVENTS} of {len(run.events)} events are shown; all are in events.jsonl."
    return _table(
        ("time (UTC)", "since the start", "who", "what", "back after (s)", "cause"),
        rows,
        numbers=(4,),
        note=note if run.events else "Nothing happened: no process died.",
    )


def _weights(run: Records, evidence: Sequence[Evidence]) -> str:
    frames = next((found.frames for found in evidence), None)
    rows = [
        ("policy version", count_text(run.latest("updates"))),
        ("age of weights when acting (versions)", number_text(run.latest("learner/policy_lag_mean"))),
        ("newest checkpoint (frames)", count_text(frames)),
    ]
    if run.language:
        return _table(("", ""), rows[:2])
    if run.judged:
        rows.append(("reward model version", count_text(run.latest("reward_model/version"))))
        rows.append(("reward model labels", count_text(run.latest("reward_model/labels"))))
    for found in evidence:
        if found.stage is not None:
            rows.append(("reward view", found.stage.view.formula()))
            rows.append(("reward view version", found.stage.view.version))
        judges = {v.judge_fingerprint for vs in found.verdicts.values() for v in vs if v.judge_fingerprint}
        reward_versions = {v.reward_version for vs in found.verdicts.values() for v in vs}
        if judges:
            rows.append(("judge fingerprint", ", ".join(sorted(judges))))
            rows.append(("reward version", ", ".join(sorted(reward_versions))))
    return _table(("", ""), rows)


def _settings(run: Records) -> str:
    if not run.config:
        return ""
    text = "\n".join(_text(line) for line in yaml.safe_dump(dict(run.config), sort_keys=False).splitlines())
    return f"<details open><summary>config.yaml</summary><pre>{text}</pre></details>"


def _versions() -> str:
    found = {"guerdon commit": commit(), **versions()}
    note = "Of the installation that wrote this page."
    return f'<p class="versions">{_text(", ".join(f"{k} {v}" for k, v in found.items()))}</p><p class="none">{note}</p>'


STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1d2129; --soft: #5c6370; --rule: #dfe2e8; --card: #f6f7f9;
  --good: #1a7f4b; --bad: #c0362c; --c0: #2563c9; --c1: #d9730d; --c2: #1a8f6d; --c3: #b83280; --c4: #7a5bc7;
  --c5: #8a6d1a }
@media (prefers-color-scheme: dark) { :root { --page: #14171c; --ink: #e4e7ec; --soft: #98a1b0; --rule: #2c323c;
  --card: #1c2128; --good: #4ac585; --bad: #f2766b; --c0: #6ba1f5; --c1: #f2a154; --c2: #4fcfa7; --c3: #ee83c0;
  --c4: #b29df0; --c5: #d9bb5c } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; overflow-wrap: break-word }
header h1 { margin: 0; font-size: 1.7rem; letter-spacing: -.01em }
header p { margin: .15rem 0 1.25rem; color: var(--soft) }
h2 { margin: 2.25rem 0 .6rem; font-size: 1.12rem }
h2.run { margin-top: 3rem; padding-top: 1rem; border-top: 2px solid var(--rule); font-size: 1.3rem }
h3 { margin: 1.1rem 0 .3rem; font-size: .95rem; color: var(--soft); font-weight: 600 }
p { margin: .4rem 0 }
.none, .versions { color: var(--soft); font-size: .87rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(125px, 1fr)); gap: .6rem }
.tiles div { background: var(--card); border-radius: 8px; padding: .7rem .85rem }
.tiles b { display: block; font-size: 1.16rem; font-variant-numeric: tabular-nums }
.tiles span { color: var(--soft); font-size: .82rem }
.missing { border-left: 3px solid var(--bad); background: var(--card); padding: .1rem 1rem .5rem; 
  border-radius: 0 8px 8px 0; margin-top: 1.5rem }
.missing h2 { margin-top: .6rem }
.missing ul { margin: 0; padding-left: 1.1rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .28rem 1.1rem .28rem 0; border-bottom: 1px solid var(--rule) }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap }
tbody th { color: var(--soft); font-weight: 400; white-space: nowrap }
.n { text-align: right; white-space: nowrap }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 0 1.5rem;
  margin: 0; font-size: .9rem }
.facts div { display: flex; gap: .8rem; border-bottom: 1px solid var(--rule); padding: .28rem 0 }
.facts dt { flex: 0 0 11.5em; color: var(--soft) }
.facts dd { margin: 0; font-variant-numeric: tabular-nums }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1.1rem }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 1.5rem }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: .7rem .8rem .5rem; break-inside: avoid }
figcaption { font-size: .88rem; font-weight: 600; margin-bottom: .3rem }
svg { display: block; width: 100%; height: auto }
.grid { stroke: var(--rule) }
.tick { fill: var(--soft); font: 11px system-ui, sans-serif }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke: var(--c) }
.line.again { stroke-dasharray: 5 3 }
.dot { fill: var(--c) }
.key { display: inline-block; width: .75em; height: .75em; border-radius: 3px; margin-right: .45em;
  background: var(--c) }
.legend { list-style: none; margin: .3rem 0 0; padding: 0; font-size: .8rem; color: var(--soft) }
.legend b { color: var(--ink); font-variant-numeric: tabular-nums }
.s0 { --c: var(--c0) } .s1 { --c: var(--c1) } .s2 { --c: var(--c2) }
.s3 { --c: var(--c3) } .s4 { --c: var(--c4) } .s5 { --c: var(--c5) }
.badge { display: inline-block; padding: .08rem .6rem; border-radius: 99px; border: 1px solid; font-size: .85rem }
.good { color: var(--good) } .bad { color: var(--bad) }
pre { background: var(--card); border-radius: 8px; padding: .8rem 1rem; font-size: .8rem; line-height: 1.4;
  overflow-x: auto; columns: 3 300px }
summary { cursor: pointer; color: var(--soft) }
@media print { body { max-width: none; padding: 0; font-size: 11px } section, .tiles div { break-inside: avoid-page }
  .wide { overflow: visible } pre { white-space: pre-wrap }
  :root { --page: #fff; --ink: #000; --soft: #444; --rule: #ccc; --card: #f6f6f6 } }
"""
