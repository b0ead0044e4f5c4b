"""`guerdon inspect`: recorded episodes as text frames, with what each step was paid, and why.

Rewards are not stored with experience, so they are computed here again: by the reward view and the reward model of
the newest checkpoint, which may know more than the learner did when it used the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from envs.frames import render_frame
from envs.specs import Discrete, EnvSpec, MultiDiscrete
from envs.trajectory import Trajectory, spec_of, trajectories
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from pipelines.stored.evidence import Evidence, gather, printable, verdict_text
from pipelines.stored.stored_experience import one_line, stored_rows
from rewards.columns import Column
from rewards.questions import judged_texts
from rewards.views.layout import Layout
from rewards.views.view import Explanation

LISTED = 8  # episodes named where one is not found
PAIRS_SHOWN = 3


@dataclass
class Episode:
    """What is left of one recorded episode.

    Attributes:
        ident: `actor/epoch/env/episode`.
        rows: `(first step, steps, batch, row in the batch)`, in the order of steps.
        ended: whether its last step is there.
        success: whether it was solved, where that is known.
    """

    ident: str
    rows: list[tuple[int, int, pa.RecordBatch, int]]
    ended: bool = False
    success: bool | None = None

    @property
    def whole(self) -> bool:
        """Whether every step from the first to the last is there."""
        expected = 0
        for first, steps, _, _ in self.rows:
            if first != expected:
                return False
            expected += steps
        return self.ended

    @property
    def steps(self) -> int:
        """Steps that are there."""
        return sum(steps for _, steps, _, _ in self.rows)


def inspect_run(
    directory: RunDirectory, episode: str, episodes: int, steps: int, first: int, all: bool
) -> Iterator[str]:
    """Episodes of a run as texts, step by step.

    Args:
        directory: the run.
        episode: id of the episode; empty for the last whole ones.
        episodes: how many, where no id is given.
        steps: shown at most, of each episode.
        first: step to begin with.
        all: show every step, not only those with a caption, a reward, or the end.

    Raises:
        UserError: nothing is recorded, there is no such episode, or a number is out of range.
    """
    for name, value, least in (("episodes", episodes, 1), ("steps", steps, 1), ("first", first, 0)):
        if value < least:
            raise UserError(f"{name}: got {value}; expected at least {least}")
    recorded = read_episodes(directory)
    chosen = choose(recorded, episode, episodes, directory)
    evidence = gather(directory)
    for text in evidence.missing:
        yield printable(f"missing: {text}")
    if evidence.stage is not None:
        yield f"{evidence.stage.view.formula()}   (as of the checkpoint at {evidence.frames:,} frames)"
    elif evidence.experiment is not None:
        yield "reward components are not known without a checkpoint; environment rewards and verdicts are shown"
    for one in chosen:
        yield from show_episode(one, evidence, steps, first, all)
    if any(directory.logs.glob("*.jsonl")):
        yield f"what the processes said: {printable(str(directory.logs))}, by the actor and epoch of an episode"


def read_episodes(directory: RunDirectory) -> dict[str, Episode]:
    """Recorded episodes by id, in the order in which they began to be recorded.

    Raises:
        UserError: what is stored cannot be read.
    """
    try:
        return episodes_in(list(stored_rows(directory)))
    except (OSError, ValueError) as error:
        raise UserError(f"{directory.root}: its experience cannot be read: {one_line(error)}") from None


def episodes_in(batches: Sequence[pa.RecordBatch]) -> dict[str, Episode]:
    """The episodes of some stored rows by id, in the order in which they begin there."""
    found: dict[str, Episode] = {}
    for batch in batches:
        lengths = batch.column("env_reward").value_lengths()
        facts = [batch.column(name).to_pylist() for name in ("episode_id", "first_step", "ended", "success")]
        for row, (ident, first_step, ended, success) in enumerate(zip(*facts, strict=True)):
            episode = found.setdefault(ident, Episode(ident, []))
            if any(known == first_step for known, _, _, _ in episode.rows):
                continue  # recorded again after the run was resumed
            episode.rows.append((first_step, lengths[row].as_py(), batch, row))
            episode.rows.sort(key=lambda item: item[0])
            if ended:
                episode.ended, episode.success = True, success
    return found


def choose(recorded: Mapping[str, Episode], ident: str, count: int, directory: RunDirectory) -> list[Episode]:
    """The episode that was asked for, or the last `count` whole ones (where none is whole: the longest).

    Raises:
        UserError: there is none.
    """
    if not recorded:
        raise UserError(
            f"{directory.root} has no recorded episodes: set record_mb above 0, or let the run go on for a while"
        )
    if ident:
        if ident in recorded:
            return [recorded[ident]]
        known = list(recorded)[-LISTED:]
        raise UserError(
            f"got episode {ident!r}; expected one of the {len(recorded)} recorded ones, such as {', '.join(known)}"
        )
    whole = [episode for episode in recorded.values() if episode.whole]
    return whole[-count:] or sorted(recorded.values(), key=lambda episode: episode.steps)[-count:]


def show_episode(episode: Episode, evidence: Evidence, steps: int, first: int, every: bool) -> Iterator[str]:
    """One episode as texts: a heading, a text for each step that is shown, and what was left out."""
    lacking = "" if episode.whole else ", incomplete: " + _what_lacks(episode)
    solved = {True: ", solved", False: ", not solved", None: ""}[episode.success]
    yield printable(f"── episode {episode.ident}: {episode.steps} steps recorded{solved}{lacking} ")
    shown, passed, left = 0, 0, 0
    for first_step, length, batch, row in episode.rows:
        if first_step + length <= first:
            continue
        piece = batch.slice(row, 1)
        spec, _ = spec_of(batch.schema)
        trajectory = next(trajectories(piece))
        columns = None if evidence.stage is None else evidence.stage.columns(piece)
        for t in range(length):
            if first_step + t < first:
                continue
            last = episode.ended and t == length - 1 and row_is_last(episode, first_step)
            if not (every or last or trajectory.columns["caption_id"][t] or trajectory.columns["env_reward"][t]):
                passed += 1
                continue
            if shown == steps:
                left += 1
                continue
            shown += 1
            yield show_step(spec, trajectory, t, columns, evidence, last)
    if passed:
        yield f"({passed} steps in which nothing happened are not shown; all=true shows them)"
    if left:
        yield f"({left} more steps; steps=N shows more, first=N begins later)"


def row_is_last(episode: Episode, first_step: int) -> bool:
    """Whether the row that begins at `first_step` is the episode's last."""
    return episode.rows[-1][0] == first_step


def _what_lacks(episode: Episode) -> str:
    gaps, expected = [], 0
    for first, steps, _, _ in episode.rows:
        if first > expected:
            gaps.append(f"steps {expected} to {first - 1} were not kept")
        expected = first + steps
    return ", ".join(gaps + ([] if episode.ended else ["its end is not recorded"]))


def show_step(
    spec: EnvSpec,
    trajectory: Trajectory,
    t: int,
    columns: Mapping[str, Column] | None,
    evidence: Evidence,
    last: bool,
) -> str:
    """One step: action, what it led to, what it was paid by whom, and the verdict behind that.

    Args:
        spec: names the actions.
        trajectory: the row that the step is in.
        t: position of the step in the row.
        columns: what the reward view reads, `[T]` each; None where there is no checkpoint.
        evidence: captions, verdicts and the view.
        last: whether the episode ends here.
    """
    facts = trajectory.columns
    ident, reward = int(facts["caption_id"][t]), float(facts["env_reward"][t])
    head = f"step {facts['first_step'] + t}   action {action_name(spec, facts['action'][t])}"
    head += f"   policy version {facts['policy_version_min']}"
    if last:
        head += "   " + ("end: terminated" if facts["discount"][t] == 0 else "end: cut off")
        head += {True: ", solved", False: ", not solved", None: ""}[facts["success"]]
    frame = render_frame({key: values[t + 1] for key, values in trajectory.observation.items()})
    lines = [head, *(f"  │ {printable(line)}".rstrip() for line in frame.splitlines() if line.strip())]
    if ident:
        text = evidence.captions.get(ident, "(its text is not known: it came after the newest checkpoint)")
        lines.append(f"  caption   {printable(text)}   (id {ident}, time {int(facts['caption_count'][t])} here)")
    else:
        lines.append("  caption   none")
    lines.append(f"  env       {reward:+.4g}")
    if columns is not None and evidence.stage is not None:
        began = [facts["first_step"] == 0]
        layout = Layout.of(steps=[len(facts["discount"])], ended=[facts["discount"][-1] == 0], began=began)
        lines += explain_lines(evidence.stage.view.explain(columns, t, layout))
    if ident and (evidence.experiment is None or evidence.experiment.reward.judged):
        lines += verdict_lines(evidence, ident)
    return "\n".join(lines) + "\n"


def action_name(spec: EnvSpec, action: object) -> str:
    """An action as people call it, and as it is stored."""
    if isinstance(spec.action, Discrete):
        number = int(action)  # type: ignore[call-overload]
        return f"{spec.action_names[number]} ({number})" if number < len(spec.action_names) else str(number)
    if isinstance(spec.action, MultiDiscrete):
        return str([int(part) for part in action])  # type: ignore[attr-defined]
    return "[" + ", ".join(f"{float(part):.3g}" for part in action) + "]"  # type: ignore[attr-defined]


def explain_lines(explanation: Explanation) -> list[str]:
    """A reward as its parts: raw values, what shaping makes of them, contributions, and their sum."""
    raw = "  ".join(f"{name} {_value(value)}" for name, value in explanation.raw.items())
    lines = [f"  raw       {raw}"]
    lines += [f"  shaped    {formula} = {_value(value)}" for formula, _, value in explanation.shaped]
    parts = " ".join(f"{value:+.4g} ({name})" for name, value in explanation.contributions.items())
    masked = "" if explanation.weight else "   left out of the loss"
    lines.append(f"  reward    {parts} = {explanation.reward:+.4g}{masked}")
    return lines


def verdict_lines(evidence: Evidence, ident: int) -> list[str]:
    """The verdicts behind a caption's reward, or that there are none."""
    verdicts = evidence.verdicts.get(ident, ())
    if not verdicts:
        return ["  verdict   not judged"]
    pairs = verdicts[0].subject_kind == "pair"
    lines = [f"  verdict   {verdict_text(evidence, ident)} pairs, such as"] if pairs else []
    for verdict in verdicts[:PAIRS_SHOWN]:
        about = " preferred to ".join(f"“{printable(text)}”" for text in judged_texts(verdict)) + " " if pairs else ""
        cause = f": {printable(verdict.cause)}" if verdict.cause else ""
        judge = printable(verdict.judge_fingerprint) or "not known"
        lines.append(
            f"{'            ' if pairs else '  verdict   '}{about}{_value(verdict.value)}, {verdict.status.value}"
            f"{cause}   (judge {judge}, {verdict.latency_s:.3g} s, attempt {verdict.attempt})"
        )
    return lines


def _value(value: float | None) -> str:
    return "NULL" if value is None else f"{value:.4g}"
