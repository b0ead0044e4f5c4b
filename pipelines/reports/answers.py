"""Answers of a language run: the most and the least rewarded, token by token, with the credit of each token.

Of the newest stored answers. Rewards and advantages are computed here again, from the verdicts, by the run's own view;
an advantage that is one number for an answer is the credit of each token that the policy wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from envs.language.trajectory import TokenTrajectory, from_batch, to_batch
from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.language.kept_models import model_of
from pipelines.language.reward_view import WORLD, advantage_of_answers
from pipelines.language.stored import stored_language, stored_rewards
from pipelines.reports.data import RunData
from pipelines.reports.markup import clean, table, text
from pipelines.reports.rewards import histogram_figure
from pipelines.reports.sampling import newest_batches
from pipelines.stored.records import number_text, plural
from pipelines.stored.stored_experience import one_line
from rewards.columns import Column
from rewards.verdict_store import VerdictStore

TOP, LONGEST, MOST_TOKENS = 4, 1200, 400
SHADES = 3
Texts = Sequence[str]


@dataclass(frozen=True)
class Judged:
    """Answers of whole groups with what they earned.

    Attributes:
        answers: N of them, group by group.
        columns: the components, of N each.
        reward: `[N]`.
        known: `[N]`, False where the reward is NULL.
        advantage: of N; None where the method has none of answers.
        older: whether there are more than these.
    """

    answers: Sequence[TokenTrajectory]
    columns: dict[str, Column]
    reward: np.ndarray
    known: np.ndarray
    advantage: Column | None
    older: bool


def answers(run: RunData) -> str:
    """The most and least rewarded of the newest answers, and how the rewards of all of them are distributed."""
    try:
        found = judged(run)
    except UserError as error:
        return f'<p class="none">{text(error)}</p>'
    except (OSError, ValueError, pa.ArrowException) as error:
        return f'<p class="none">{text(f"The stored answers cannot be read: {one_line(error)}")}</p>'
    if found is None:
        return '<p class="none">No whole group of answers is stored yet.</p>'
    decode = decoder(run)
    gained = np.zeros(len(found.answers)) if found.advantage is None else found.advantage.values
    worth = np.where(found.known, found.reward, -np.inf)
    order = [int(i) for i in np.lexsort((-gained, -worth))]  # of equal rewards, those that others did not earn
    ranked = _distinct(found, [i for i in order if found.known[i]])
    parts = [("Most rewarded", ranked[:TOP])]
    if len(ranked) > TOP:
        parts.append(("Least rewarded", ranked[TOP:][-TOP:][::-1]))
    if unknown := [i for i in order if not found.known[i]]:
        parts.append(("Without a reward (NULL)", unknown[:TOP]))
    details = verdict_details(run, [found.answers[i].row_id for _, places in parts for i in places])
    told = [
        f"<h3>{text(name)}</h3>" + "".join(_answer(found, i, decode, details) for i in places)
        for name, places in parts
        if places
    ]
    said = f"Of the newest {plural(len(found.answers), 'answer')} that are stored"
    said += ", and there are older ones" if found.older else ""
    histogram = histogram_figure("Reward of an answer", found.reward[found.known], int((~found.known).sum()), "answers")
    key = (
        "Shade of a token: its credit, which is the advantage of its answer, green above its group and red below; "
        "a line under it: the policy was not sure of it (probability below a half). Grey: not written by the policy. "
        "What the learner adds for each token (KL to a reference, a critic's estimate) is not stored."
    )
    return f'<p class="none">{text(said)}. {text(key)}</p><div class="charts">{histogram}</div>{"".join(told)}'


def judged(run: RunData) -> Judged | None:
    """The newest whole groups with their rewards; None where there are none.

    Raises:
        UserError: the run's settings cannot be used.
        OSError, ValueError: what is stored cannot be read.
    """
    rewards, size = stored_rewards(run.directory), stored_language(run.directory).group_size
    batches, older = newest_batches(run.directory)
    groups: dict[str, dict[int, TokenTrajectory]] = {}
    for one in (one for batch in batches for one in from_batch(batch)):
        groups.setdefault(one.group_id, {})[one.member] = one
    whole = [[group[member] for member in sorted(group)] for group in groups.values() if len(group) == size]
    kept = [one for group in whole for one in group]
    if not kept:
        return None
    values: dict[str, dict[str, float | None]] = {part.name: {} for part in rewards.parts}
    subjects = pa.array([one.row_id for one in kept])
    if (run.directory.verdicts / "store.json").is_file():
        with VerdictStore(run.directory.verdicts, read_only=True) as store:
            for part in rewards.parts:
                joined = store.join(subjects, part.name)
                values[part.name] = {
                    one.row_id: float(value) if valid else None
                    for one, value, valid in zip(kept, joined.values, joined.valid, strict=True)
                }
    rows = pa.Table.from_batches([to_batch(kept)])
    columns = rewards.columns(rows, values)
    seen = rewards.seen(rows, columns)
    return Judged(kept, columns, seen.reward, seen.weight > 0, advantage_of_answers(seen, rows), older)


def verdict_details(run: RunData, rows: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The verdicts on some answers, as plain data, by answer; nothing where they cannot be read."""
    found: dict[str, list[dict[str, Any]]] = {}
    if not (run.directory.verdicts / "store.json").is_file():
        return found
    wanted = pa.array(rows, pa.string())
    with VerdictStore(run.directory.verdicts, read_only=True) as store:
        for batch in store.batches():
            for line in batch.filter(pc.is_in(batch.column("subject"), value_set=wanted)).to_pylist():
                found.setdefault(line["subject"], []).append(line)
    return found


def decoder(run: RunData) -> Any:
    """The tokenizer that the model of a run came with, if it is on this machine; None otherwise."""
    from tokenizers import Tokenizer

    try:
        _, tree, _ = checkpoint.load(run.directory.checkpoints)
        model = str(model_of(run.directory, tree["model"]))
        path = Path(model) / "tokenizer.json"
        if not path.is_file():
            from huggingface_hub import try_to_load_from_cache

            cached = try_to_load_from_cache(model, "tokenizer.json")
            path = Path(cached if isinstance(cached, str) else "")
        return Tokenizer.from_file(str(path))
    except Exception:  # of another version, gone, or not there yet: tokens are then shown by their numbers
        return None


def _distinct(found: Judged, order: list[int]) -> list[int]:
    """The first of each answer to each prompt."""
    seen: dict[tuple[str, str], int] = {}
    for i in order:
        seen.setdefault((found.answers[i].prompt_id, found.answers[i].completion), i)
    return list(seen.values())


def _answer(found: Judged, i: int, decode: Any, details: dict[str, list[dict[str, Any]]]) -> str:
    """One answer: what it earned and from whom, the conversation before it, and its tokens."""
    one = found.answers[i]
    reward = number_text(float(found.reward[i])) if found.known[i] else "NULL"
    credit = None
    if found.advantage is not None and found.advantage.valid[i]:
        credit = float(found.advantage.values[i])
    told = (
        f"reward {reward}, advantage {'NULL' if credit is None else number_text(credit)}: {clean(one.completion, 100)}"
    )
    rows: list[tuple[object, ...]] = []
    for name, column in found.columns.items():
        if name != WORLD or column.valid[i]:
            lines = [line for line in details.get(one.row_id, ()) if line["component"] == name]
            why = "; ".join(
                f"{line['status']}{': ' + line['cause'] if line['cause'] else ''}, judge {line['judge_fingerprint']}, "
                f"{line['latency_s']:.3g} s, attempt {line['attempt']}"
                for line in lines[-2:]
            )
            value = number_text(float(column.values[i])) if column.valid[i] else "NULL"
            rows.append((name, value, clean(why, LONGEST) or "the world" * (name == WORLD) or "not judged"))
    paid = [
        f"turn {k}: {'NULL' if p is None else number_text(p)}" for k, p in enumerate(one.env_rewards) if p is not None
    ]
    said = f"group {one.group_id}, member {one.member}, policy versions {one.policy_version_min} to "
    said += f"{one.policy_version_max}, {plural(len(one.turn_ends), 'turn')}, end: {one.finish}"
    said += f"; paid by the world: {', '.join(paid)}" if paid else ""
    verdicts = table(("component", "value", "verdict"), rows, (1,), label="Verdicts on this answer")
    return (
        f'<details class="answer"><summary>{text(told, 220)}</summary><p class="none">{text(said)}</p>{verdicts}'
        f"{_tokens(one, credit, decode)}</details>"
    )


def _tokens(one: TokenTrajectory, credit: float | None, decode: Any) -> str:
    """The tokens of a conversation, each with its credit and how sure the policy was of it."""
    shown = []
    ends = set(one.turn_ends.tolist())
    start = max(0, one.length - MOST_TOKENS)
    for place in range(start, one.length):
        own = bool(one.loss_mask[place])
        said = _token_text(decode, int(one.token_ids[place]))
        about = f"token {int(one.token_ids[place])}"
        style = "tok"
        if own:
            sure = float(np.exp(one.behaviour_log_probs[place]))
            about += f", probability {sure:.3g}, policy version {int(one.token_versions[place])}, credit "
            about += "NULL" if credit is None else f"{credit:+.4g}"
            style += f" own {shade(credit)}" + (" unsure" if sure < 0.5 else "")
        shown.append(f'<span class="{style}" title="{text(about)}">{text(said) or "·"}</span>')
        if place + 1 in ends:
            shown.append('<b class="turn">⏎</b>')
    cut = f'<p class="none">The last {MOST_TOKENS:,} of {one.length:,} tokens.</p>' if start else ""
    return f'<p class="tokens">{"".join(shown)}</p>{cut}'


def shade(credit: float | None) -> str:
    """The class of a credit: `up1` … `up3`, `down1` … `down3`, by half standard deviations; empty where it is none."""
    if not credit:
        return ""
    size = min(SHADES, 1 + int(abs(credit) / 0.5))
    return f"{'up' if credit > 0 else 'down'}{size}"


def _token_text(decode: Any, token: int) -> str:
    if decode is None:
        return f"[{token}]"
    said = decode.decode([token], skip_special_tokens=False)
    return said.replace("\n", "⏎").replace("\t", "⇥") or f"[{token}]"
