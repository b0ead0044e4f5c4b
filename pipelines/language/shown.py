"""`guerdon inspect` and `guerdon explain` on language runs: stored answers as text, and what paid them.

Rewards and advantages are not stored with answers, so they are computed here again, from the verdicts, by the view of
the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from envs.language.trajectory import TokenTrajectory, from_batch, to_batch
from envs.storage.store import open_store
from pipelines.errors import UserError
from pipelines.language.reward_view import WORLD, advantage_of_answers, layout_of
from pipelines.language.rewards import RewardSet
from pipelines.language.stored import stored_rewards
from pipelines.run_directory import RunDirectory
from pipelines.stored.evidence import printable
from pipelines.stored.stored_experience import one_line
from rewards.columns import Column
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Verdict
from rewards.views.view import ADVANTAGE, REWARD

NAMED = 6  # answers named where one is not found

Verdicts = Mapping[tuple[str, str], Verdict]
"""By answer and component."""


def inspect_language(directory: RunDirectory, episode: str, episodes: int) -> Iterator[str]:
    """Stored answers as texts: the conversation, and each verdict on it.

    Args:
        directory: the run.
        episode: id of the answer, or its beginning; empty for the last ones.
        episodes: how many, where no id is given.

    Raises:
        UserError: nothing is stored, there is no such answer, or a number is out of range.
    """
    if episodes < 1:
        raise UserError(f"episodes: got {episodes}; expected at least 1")
    rewards, answers, verdicts = stored_rewards(directory), stored_answers(directory), _verdicts(directory)
    names = [part.name for part in rewards.parts]
    for one in [find(answers, episode)] if episode else answers[-episodes:]:
        yield _shown(one, names, verdicts)


def explain_language(directory: RunDirectory, row: str) -> Iterator[str]:
    """What paid one answer, beside the others of its group; and which component and part put what into it.

    Args:
        directory: the run.
        row: id of the answer or its beginning, its number, counted from 0 in the order of storing, or `last`.

    Raises:
        UserError: there is no such answer.
    """
    rewards, answers = stored_rewards(directory), stored_answers(directory)
    chosen = answers[-1] if row == "last" else find(answers, row)
    group = sorted((one for one in answers if one.group_id == chosen.group_id), key=lambda one: one.member)
    verdicts = _verdicts(directory)
    values = {
        part.name: {one.row_id: found.value for one in group if (found := verdicts.get((one.row_id, part.name)))}
        for part in rewards.parts
    }
    rows = pa.Table.from_batches([to_batch(group)])
    columns = rewards.columns(rows, values)
    seen = rewards.seen(rows, columns)
    advantage = advantage_of_answers(seen, rows)
    yield f"answer {chosen.row_id}   group {chosen.group_id}, to: {printable(_asked(chosen))}"
    yield rewards.view.formula()
    names = [name for name, column in columns.items() if name != WORLD or column.valid.any()]
    heads = [*names, "reward", *(["advantage"] if advantage is not None else [])]
    yield "   " + "".join(head.rjust(12) for head in heads) + "   answer"
    for place, one in enumerate(group):
        cells = [_cell(columns[name].values[place], bool(columns[name].valid[place])) for name in names]
        cells.append(_cell(seen.reward[place], bool(seen.weight[place])))
        if advantage is not None:
            cells.append(_cell(advantage.values[place], bool(advantage.valid[place])))
        mark = "→" if one is chosen else " "
        yield f" {mark} " + "".join(cell.rjust(12) for cell in cells) + f"   {printable(one.completion)}"
    yield from _put_in(rewards, rows, columns, group.index(chosen))


def _put_in(rewards: RewardSet, rows: pa.Table, columns: Mapping[str, Column], place: int) -> Iterator[str]:
    """What each component and part puts into the reward and the advantage of one answer; the terms sum to it."""
    terms, seen, layout = rewards.attribute(rows, columns), rewards.seen(rows, columns), layout_of(rows)
    reward = Column(seen.reward, seen.weight > 0)
    for name, column in ((REWARD, reward), (ADVANTAGE, seen.advantage)):
        if column is None:
            continue
        level = seen.levels[name]
        own = column.valid & (layout.owner(level, "episode") == place)
        if not own.any():
            yield f"{name} NULL"
            continue
        parts = [f"{term} {values[own].mean():.6g}" for term, values in terms[name].items() if np.any(values[own])]
        mean = "" if level == "episode" else f", mean of {int(own.sum())} {level}s"
        yield f"{name} {column.values[own].mean(dtype=np.float64):.6g}{mean} = {' + '.join(parts) or '0'}"


def stored_answers(directory: RunDirectory) -> list[TokenTrajectory]:
    """All answers that are kept, in the order of storing.

    Raises:
        UserError: there are none, or they cannot be read.
    """
    try:
        stores = [open_store(path) for path in directory.shards()]
        found = [one for store in stores for stored in store for one in from_batch(store.read(stored.position))]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{directory.root}: its answers cannot be read: {one_line(error)}") from None
    if not found:
        raise UserError(
            f"{directory.root} has stored no answers: set record_mb above 0, or let the run go on for a while; "
            "one that learns from pairs alone (dpo) writes none"
        )
    return found


def find(answers: list[TokenTrajectory], row: str) -> TokenTrajectory:
    """The answer of an id, its beginning, or a number.

    Raises:
        UserError: there is none.
    """
    exact = [one for one in answers if one.row_id == row]
    if not exact and row.isdigit() and int(row) < len(answers):
        return answers[int(row)]
    found = exact or [one for one in answers if one.row_id.startswith(row)]
    if not found:
        known = ", ".join(one.row_id for one in answers[-NAMED:])
        raise UserError(f"got answer {row!r}; expected one of the {len(answers)} stored ones, such as {known}")
    return found[0]


def _verdicts(directory: RunDirectory) -> Verdicts:
    if not (directory.verdicts / "store.json").exists():
        return {}
    with VerdictStore(directory.verdicts, read_only=True) as store:
        return {(verdict.subject, verdict.component): verdict for verdict in store.verdicts()}


def _shown(one: TokenTrajectory, names: list[str], verdicts: Verdicts) -> str:
    versions = f"{one.policy_version_min} to {one.policy_version_max}"
    lines = [
        f"── answer {one.row_id}: group {one.group_id}, member {one.member}, {int(one.loss_mask.sum())} tokens in "
        f"{len(one.turn_ends)} turns, policy versions {versions}, end: {one.finish}"
    ]
    for message in one.messages:
        for number, line in enumerate(message["content"].splitlines() or [""]):
            lines.append(f"  {message['role'] if not number else '':<10}│ {printable(line)}")
    if any(paid is not None for paid in one.env_rewards):
        lines.append(f"  {'world':<10}  {'  '.join('NULL' if p is None else f'{p:.4g}' for p in one.env_rewards)}")
    for name in names:
        verdict = verdicts.get((one.row_id, name))
        said = "not judged"
        if verdict is not None:
            value = "NULL" if verdict.value is None else f"{verdict.value:.4g}"
            cause = f": {printable(verdict.cause)}" if verdict.cause else ""
            said = f"{value}, {verdict.status.value}{cause}"
        lines.append(f"  {name:<10}  {said}")
    return "\n".join(lines) + "\n"


def _asked(one: TokenTrajectory) -> str:
    return str(one.record()["prompt"])


def _cell(value: float, known: bool) -> str:
    return f"{value:.4g}" if known else "NULL"
