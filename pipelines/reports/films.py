"""Episodes as films: frames that are stepped through, with what each step was paid, by what, and on whose word.

Rewards are computed anew by the view of the newest checkpoint, which may know more than the learner did when it used
the step. Films are of the newest stored experience, and long ones leave out steps in which nothing happened: the page
says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from envs.trajectory import Trajectory, spec_of, trajectories
from pipelines.reports.data import RunData
from pipelines.reports.frames import Row, changes, picture
from pipelines.reports.markup import clean, data_block, text
from pipelines.reports.sampling import newest_batches
from pipelines.reward_stage import layout_of
from pipelines.stored.evidence import Evidence
from pipelines.stored.records import number_text, plural
from pipelines.stored.shown import Episode, action_name, episodes_in, row_is_last
from pipelines.stored.stored_experience import one_line
from rewards.questions import judged_texts
from rewards.views.view import REWARD

EPISODES = 4
STEPS = 300  # of a film
FILM_BYTES = 1_500_000
ALL_BYTES = 5_000_000  # of all films of one page
VERDICTS_SHOWN = 3
LONGEST = 300


def films(run: RunData, budget: list[int] | None = None) -> str:
    """The last whole episodes of a run, and the best and worst paid of those that are still there.

    Args:
        run: the run.
        budget: bytes that the films of the page may still take; what is used is taken off it.
    """
    left = [ALL_BYTES] if budget is None else budget
    try:
        batches, older = newest_batches(run.directory)
    except (OSError, ValueError, pa.ArrowException) as error:
        return f'<p class="none">{text(f"Stored experience cannot be read: {one_line(error)}")}</p>'
    recorded = episodes_in(batches)
    if not recorded:
        return '<p class="none">No episode is recorded: set record_mb above 0, or let the run go on for a while.</p>'
    parts, shown = [], 0
    chosen = _chosen(list(recorded.values()))
    for why, episode in chosen:
        film = _film(episode, run.evidence, min(FILM_BYTES, left[0]))
        if film is None:
            break
        data, said = film
        block = data_block(data)
        left[0] -= len(block)
        shown += 1
        parts.append(_player(f"{why}: episode {episode.ident}", data, said, block))
    note = f"{plural(shown, 'episode')} of {len(recorded):,} in the newest stored experience"
    note += ", and there is older experience, which was not looked at" if older else ""
    if shown < len(chosen):
        note += "; the others would have made this page too long"
    return f'{"".join(parts)}<p class="none">{text(note)}. All of them: guerdon inspect.</p>'


def _chosen(recorded: Sequence[Episode]) -> list[tuple[str, Episode]]:
    """The last whole one, the best and the worst paid by the environment, and another; each once."""
    whole = [episode for episode in recorded if episode.whole] or sorted(recorded, key=lambda one: -one.steps)[:1]
    paid = sorted(whole, key=_env_return)
    wanted = [("the last", whole[-1])]
    if _env_return(paid[0]) < _env_return(paid[-1]):
        wanted += [("the best paid by the environment", paid[-1]), ("the worst paid by the environment", paid[0])]
    wanted.append(("the oldest of these", whole[0]))
    found: dict[str, tuple[str, Episode]] = {}
    for why, episode in wanted:
        found.setdefault(episode.ident, (why, episode))
    return [(why[0].upper() + why[1:], episode) for why, episode in found.values()][:EPISODES]


def _env_return(episode: Episode) -> float:
    return sum(float(np.sum(batch.column("env_reward")[row].values.to_numpy())) for _, _, batch, row in episode.rows)


def _film(episode: Episode, evidence: Evidence, most_bytes: int) -> tuple[dict[str, Any], str] | None:
    """A film as plain data, and what it leaves out; None where there is no room for it."""
    captions: dict[int, int] = {}
    steps: list[dict[str, Any]] = []
    told: list[list[Any]] = []
    verdicts: list[list[str]] = []
    kept = _kept(episode)
    before: list[Row] | None = None
    size, cut = 0, False
    for first, length, batch, row in episode.rows:
        piece = batch.slice(row, 1)
        spec, _ = spec_of(batch.schema)
        (trajectory,) = trajectories(piece)
        paid = _paid(piece, evidence)
        for t in range(length):
            if first + t not in kept or cut:
                continue
            ident = int(trajectory.columns["caption_id"][t])
            if ident and ident not in captions:
                captions[ident] = len(captions)
                told.append(
                    [clean(evidence.captions.get(ident, "(not known: newer than the checkpoint)"), LONGEST), ident]
                )
                verdicts.append(_verdicts(evidence, ident))
            after = picture({key: values[t + 1] for key, values in trajectory.observation.items()})
            frame = changes(before, after)
            before = after
            last = episode.ended and t == length - 1 and row_is_last(episode, first)
            steps.append(_step(trajectory, spec, first, t, captions.get(ident), frame, paid, last, episode))
            size += 60 + sum(len(one[1]) + 4 * len(one[2]) + 8 for one in frame)
            cut = size > most_bytes
    if not steps or (cut and len(steps) < 2):
        return None
    said = f"{plural(episode.steps, 'step')} recorded"
    said += {True: ", solved", False: ", not solved", None: ""}[episode.success]
    if not episode.whole:
        said += ", not whole"
    if len(steps) < episode.steps:
        said += f"; {len(steps):,} of them are shown: those in which something happened, and others evenly"
    return {"steps": steps, "captions": told, "verdicts": verdicts}, said


def _kept(episode: Episode) -> set[int]:
    """Steps of a film: all of a short episode; of a long one those with a reward or a new caption, and some between."""
    if episode.steps <= STEPS:
        return {first + t for first, length, _, _ in episode.rows for t in range(length)}
    every: list[int] = []
    eventful: list[int] = []
    for first, length, batch, row in episode.rows:
        paid = batch.column("env_reward")[row].values.to_numpy()
        count = batch.column("caption_count")[row].values.to_numpy()
        every += range(first, first + length)
        eventful += [first + t for t in range(length) if paid[t] or count[t] == 1]
    size = max(1, len(eventful) // (STEPS // 2))
    chosen = {*eventful[::size][: STEPS // 2], every[0], every[-1]}
    even = np.linspace(0, len(every) - 1, STEPS - len(chosen)).astype(int)
    return chosen | {every[place] for place in even}


class _Paid:
    """What the steps of a row were paid, by the reward view."""

    def __init__(self, piece: pa.RecordBatch, evidence: Evidence) -> None:
        stage = evidence.stage
        assert stage is not None
        self.columns, layout = stage.columns(piece), layout_of(piece)
        self.result = stage.view.apply(self.columns, layout, learn=False)
        self.terms = stage.view.attribute(self.columns, layout)[REWARD]
        self.by_step = len(self.result.reward) == len(self.columns["extrinsic"].values)

    def of(self, t: int) -> dict[str, Any]:
        """Reward, terms and raw components of a step; NULL is null."""
        raw = [
            [clean(name, 80), round(float(column.values[t]), 5) if column.valid[t] else None]
            for name, column in self.columns.items()
        ]
        if not self.by_step:
            return {"raw": raw}
        terms = [[clean(name, 80), round(float(values[t]), 5)] for name, values in self.terms.items() if values[t]]
        reward = round(float(self.result.reward[t]), 5) if self.result.weight[t] else None
        return {"r": reward, "terms": terms, "raw": raw}


def _paid(piece: pa.RecordBatch, evidence: Evidence) -> _Paid | None:
    try:
        return None if evidence.stage is None else _Paid(piece, evidence)
    except ValueError:  # a view over whole episodes or groups cannot tell of a part of one
        return None


def _step(
    trajectory: Trajectory,
    spec: Any,
    first: int,
    t: int,
    caption: int | None,
    frame: list[list[Any]],
    paid: _Paid | None,
    last: bool,
    episode: Episode,
) -> dict[str, Any]:
    facts = trajectory.columns
    step: dict[str, Any] = {
        "t": first + t,
        "a": clean(action_name(spec, facts["action"][t]), 80),
        "v": int(facts["policy_version_min"]),
        "e": round(float(facts["env_reward"][t]), 5),
        "f": frame,
    }
    if caption is not None:
        step["c"], step["n"] = caption, int(facts["caption_count"][t])
    if paid is not None:
        step |= paid.of(t)
    if last:
        solved = {True: ", solved", False: ", not solved", None: ""}[episode.success]
        step["end"] = ("terminated" if facts["discount"][t] == 0 else "cut off") + solved
    return step


def _verdicts(evidence: Evidence, ident: int) -> list[str]:
    """The verdicts behind a caption: what was said, how it ended, who said it."""
    found = evidence.verdicts.get(ident, ())
    lines = []
    for verdict in found[-VERDICTS_SHOWN:]:
        about = " preferred to ".join(f"“{one}”" for one in judged_texts(verdict)) + ": "
        value = "NULL" if verdict.value is None else f"{verdict.value:.4g}"
        cause = f" ({verdict.cause})" if verdict.cause else ""
        who = verdict.judge_fingerprint or "not known"
        seconds = f"{verdict.latency_s:.3g} s, attempt {verdict.attempt}, {verdict.tokens} tokens"
        said = f"{about if verdict.subject_kind == 'pair' else ''}{value}, {verdict.status.value}{cause}"
        lines.append(clean(f"{said}; judge {who}; {seconds}", 2 * LONGEST))
    if len(found) > VERDICTS_SHOWN:
        lines.append(f"and {len(found) - VERDICTS_SHOWN} more")
    return lines


def _player(title: str, data: dict[str, Any], said: str, block: str) -> str:
    """The film with its controls; the script fills it, and without scripts the first frame is shown."""
    count = len(data["steps"])
    first = "\n".join(text(row[1]) for row in data["steps"][0]["f"])
    total = sum(step.get("r") or 0 for step in data["steps"])
    told = f"{said}. Reward of the steps shown: {number_text(total)}."
    buttons = "".join(
        f'<button type="button" data-go="{go}" aria-label="{label}" title="{label} ({key})">{sign}</button>'
        for go, label, key, sign in (
            ("first", "First step", "Home", "|◀"),
            ("back", "Step back", "←", "◀"),
            ("play", "Play or pause", "Space", "play"),
            ("on", "Step on", "→", "▶"),
            ("last", "Last step", "End", "▶|"),
            ("event", "Next step with a reward", "n", "next reward"),
        )
    )
    return (
        f'<figure class="film" tabindex="0" role="group" aria-label="{text(title)}">'
        f'<figcaption>{text(title)}</figcaption><p class="none">{text(told)}</p>'
        f'<div class="bar">{_strip(data["steps"])}</div>'
        f'<div class="controls">{buttons}<label>step <input type="range" min="0" max="{count - 1}" value="0"></label>'
        f"<output></output></div>"
        f'<div class="stage"><pre class="screen">{first}</pre><div class="paid" aria-live="polite"></div></div>'
        f"<noscript><p>Stepping through needs scripts; guerdon inspect shows the same in a terminal.</p></noscript>"
        f"{block}</figure>"
    )


def _strip(steps: Sequence[dict[str, Any]]) -> str:
    """The reward of each step as a line of small bars, up for what was paid and down for what was taken."""
    values = [float(step.get("r", step["e"]) or 0.0) for step in steps]
    most = max(map(abs, values), default=0.0) or 1.0
    parts = []
    for place, value in enumerate(values):
        if value:
            tall = max(1.0, 18 * abs(value) / most)
            y = 20 - tall if value > 0 else 20
            style = "up" if value > 0 else "down"
            parts.append(f'<rect class="{style}" x="{place}" y="{y:.1f}" width="1" height="{tall:.1f}"/>')
    label = f"Reward of each of {len(values)} steps, at most {number_text(most)}"
    return (
        f'<svg viewBox="0 0 {max(len(values), 1)} 40" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'{"".join(parts)}<rect class="here" x="0" y="0" width="1" height="40"/></svg>'
    )
