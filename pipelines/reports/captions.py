"""Captions and what was said of them: the most and the least rewarded, the most frequent, and the unpaid."""

from __future__ import annotations

import numpy as np

from pipelines.reports.markup import clean, table, text
from pipelines.stored.evidence import Evidence, verdict_text
from pipelines.stored.records import NOT_KNOWN, Records, count_text, number_text, percent_text, plural
from rewards.verdicts import Status

TOP_CAPTIONS = 10
LONGEST = 300  # characters of a caption or verdict that are shown


def captions(run: Records, evidence: Evidence) -> str:
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
        told = (clean(evidence.captions[ident], LONGEST), count_text(times), share)
        return (
            (*told, number_text(score.get(ident)), clean(verdict_text(evidence, ident), LONGEST))
            if run.judged
            else told
        )

    head = ("caption", "steps", "share", "reward", "verdict")[: 5 if run.judged else 3]
    often = sorted((int(i) for i in idents), key=lambda i: -evidence.frequency.get(i, 0))
    if not score:
        shown = often[: 2 * TOP_CAPTIONS]
        title = "Most frequent" if len(shown) < len(often) else "All"
        return f"<p>{text(said)}.</p><h3>{title}</h3>" + table(
            head, map(line, shown), numbers=(1, 2, 3)[: len(head) - 2]
        )
    ranked = sorted((i for i in often if i in score), key=lambda i: -score[i])  # stable: frequent ones first
    parts = [("By reward", ranked)]
    if len(ranked) > 2 * TOP_CAPTIONS:
        least = sorted(ranked, key=lambda i: score[i])[:TOP_CAPTIONS]
        parts = [("Most rewarded", ranked[:TOP_CAPTIONS]), ("Least rewarded", least)]
    if unknown := [i for i in often if i not in score]:
        parts.append(("Without a reward (NULL), most frequent", unknown[:TOP_CAPTIONS]))
    tables = "".join(f"<h3>{text(name)}</h3>{table(head, map(line, ids), numbers=(1, 2, 3))}" for name, ids in parts)
    note = "Reward: of the reward model, before coefficient and decay by count."
    return f"<p>{text(said)}.</p>{tables}" + f'<p class="none">{note}</p>'
