"""`tournament`: members of a group meet in pairs, and their ranks become scores.

    score_i = 1 - rank_i / (N - 1)

A member none of whose matches has a result has no score, and N counts the others.

Seeded single elimination costs 2N - 2 matches: everyone meets the first member, the anchor (N - 1 matches that give
the seeds), then a bracket in which high seeds meet late (N - 1). It ranks nearly as well as the N (N - 1) / 2 matches
of a round robin where matches are not too noisy ("ArenaRL: Scaling RL for Open-Ended Agents via Tournament-based
Relative Ranking"). Seeded by hash instead of by matches it is a knockout of N - 1 ("WebArbiter": for a judge that
never contradicts itself the champion is the best).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.judges.chat_model import NoReply
from rewards.judges.deliberation import check_texts
from rewards.judges.judge import Answer, Judge, Question, QuestionKind, question
from rewards.judges.kinds.ratings import bradley_terry
from rewards.judges.rubric import Member, Parts, Rubric
from rewards.verdicts import Status

Topology = Literal["single_elimination", "knockout", "round_robin", "anchor"]
Match = tuple[int, int]


class Tournament(Rubric):
    """Who judges a match, and who meets whom."""

    kind: Literal["tournament"]
    match: Member
    """A judge of pairs."""
    topology: Topology = "single_elimination"
    quorum: float = Field(0.75, gt=0, le=1)
    """Share of the matches that must have a result; in one that has none, the better seed goes on."""

    answers: ClassVar[tuple[QuestionKind, ...]] = ("group",)

    def build(self, parts: Parts) -> Judge:
        """Matches of one round are judged in one call."""
        return TournamentJudge(self, self.match.build(parts))


class TournamentJudge:
    """A `Judge` of groups by a judge of pairs."""

    def __init__(self, rubric: Tournament, match: Judge) -> None:
        """Let `match` judge the pairs."""
        self._rubric, self._match = rubric, match
        self._fingerprint = rubric.compose(match.fingerprint)

    @property
    def fingerprint(self) -> str:
        """Hash of the rubric and the judge of matches."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        return [await self._group(one) for one in questions]

    async def check(self) -> None:
        """Check the judge of matches.

        Raises:
            ConnectionError: it cannot be reached.
        """
        await self._match.check()

    async def _group(self, one: Question) -> Answer:
        try:
            check_texts(one, self._rubric.answers)
        except NoReply as error:
            return Answer(error.status, cause=error.cause)
        matches = _Matches(self._match, one)
        members = range(len(one.texts))
        if self._rubric.topology == "round_robin":
            await matches.play([(i, j) for i in members for j in members if i < j])
            order = _by_strength(matches)
        elif self._rubric.topology == "anchor":
            await matches.play([(i, 0) for i in members if i])
            means = sorted({matches.mean(member) for member in members}, reverse=True)
            order = [[member for member in members if matches.mean(member) == mean] for mean in means]
        else:
            order = await self._bracket(matches)
        return self._answer(matches, order)

    async def _bracket(self, matches: _Matches) -> list[list[int]]:
        """Members by the round in which they went out, the champion first."""
        members = range(len(matches.texts))
        if self._rubric.topology == "knockout":
            drawn = [hashlib.blake2b(text.encode("utf-8", "surrogatepass")).digest() for text in matches.texts]
            seeds = sorted(members, key=lambda member: drawn[member])
        else:
            await matches.play([(member, 0) for member in members if member])
            seeds = sorted(members, key=lambda member: (-matches.mean(member), member))
        seed_of = {member: place for place, member in enumerate(seeds)}
        alive, out = list(seeds), []
        while len(alive) > 1:
            pairs, byes = round_of(alive)
            values = await matches.play(pairs)
            winners, losers = [], []
            for (better, other), value in zip(pairs, values, strict=True):
                upset = value is not None and value < 0.5
                winners.append(other if upset else better)
                losers.append(better if upset else other)
            out.append(losers)
            alive = sorted([*byes, *winners], key=lambda member: seed_of[member])
        by_mean = [sorted(losers, key=lambda member: (-matches.mean(member), seed_of[member])) for losers in out[::-1]]
        return [alive, *([member] for losers in by_mean for member in losers)]

    def _answer(self, matches: _Matches, order: Sequence[Sequence[int]]) -> Answer:
        played, known = len(matches.results), [r for r in matches.results if r[1] is not None]
        details: dict[str, Any] = {
            "order": [member for place in order for member in place],
            "matches": [[a, b, value] for (a, b), value in matches.results],
            "nulls": played - len(known),
        }
        spent: dict[str, Any] = {"tokens": matches.tokens, "latency_s": matches.latency_s}
        if len(known) < self._rubric.quorum * played:
            cause = f"{played - len(known)} of {played} matches have no result: {matches.cause}"
            return Answer(matches.status, cause=cause[:400], details=details, **spent)
        met = {member for match, _ in known for member in match}  # of others nothing is known, and they have no rank
        ranked = dict.fromkeys(met, 0.5)
        if any(value != 0.5 for _, value in known):  # where all are equal, nobody is better by his place in the bracket
            place = 0
            for level in ([member for member in level if member in met] for level in order):
                rank = place + (len(level) - 1) / 2
                place += len(level)
                for member in level:
                    ranked[member] = 1.0 - rank / (len(met) - 1)
        scores = tuple(ranked.get(member) for member in range(len(matches.texts)))
        return Answer(Status.OK, math.fsum(ranked.values()) / len(met), scores=scores, details=details, **spent)


def round_of(alive: Sequence[int]) -> tuple[list[Match], list[int]]:
    """The matches of one round of a seeded bracket.

    Args:
        alive: members, the best seed first.

    Returns:
        Matches (better seed, other), the best against the last; and the best seeds, who go on without a match
        where there are not a power of two.
    """
    size = 1 << (len(alive) - 1).bit_length()
    byes = size - len(alive)
    playing = alive[byes:]
    half = len(playing) // 2
    return list(zip(playing[:half], playing[::-1][:half], strict=True)), list(alive[:byes])


class _Matches:
    """What was played in one group, and what each member got."""

    def __init__(self, judge: Judge, one: Question) -> None:
        self.texts = one.texts
        self.results: list[tuple[Match, float | None]] = []
        self.tokens, self.latency_s = 0, 0.0
        self.status, self.cause = Status.JUDGE_FAULT, ""
        self._judge, self._one = judge, one

    async def play(self, matches: Sequence[Match]) -> list[float | None]:
        """Results of matches: the probability that the first of each is better, None where there is none."""
        asked = [question("pair", [self.texts[a], self.texts[b]], **self._one.fields) for a, b in matches]
        values: list[float | None] = []
        for match, answer in zip(matches, await self._judge.judge(asked), strict=True):
            if answer.status is not Status.OK or answer.value is None:
                self.status, self.cause = answer.status, answer.cause
            values.append(answer.value)
            self.results.append((match, answer.value))
            self.tokens += answer.tokens
            self.latency_s += answer.latency_s / len(matches)
        return values

    def mean(self, member: int) -> float:
        """What a member got per match; -inf where no match of it has a result."""
        got = [
            value if match[0] == member else 1.0 - value
            for match, value in self.results
            if member in match and value is not None
        ]
        return math.fsum(got) / len(got) if got else -math.inf


def _by_strength(matches: _Matches) -> list[list[int]]:
    """Members by Bradley-Terry strength; those within a hair of each other share a place."""
    wins = np.zeros((len(matches.texts), len(matches.texts)))
    for (a, b), value in matches.results:
        if value is not None:
            wins[a, b] += value
            wins[b, a] += 1 - value
    strengths = bradley_terry(wins)
    order: list[list[int]] = []
    for member in sorted(range(len(strengths)), key=lambda member: -strengths[member]):
        if order and strengths[order[-1][0]] - strengths[member] < 1e-6:
            order[-1].append(member)
        else:
            order.append([member])
    return order
