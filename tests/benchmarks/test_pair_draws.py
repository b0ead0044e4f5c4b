"""The pair-draws experiment: what is told is counted by hand, and the claim falls with its evidence."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.pair_draws import JUDGES, captions, learn, main, report, told, verdict
from envs.captions import caption_id
from pipelines.errors import UserError
from pipelines.results import read_result
from rewards.questions import pair_question

TIERS = {"You descend.": 2, "You see here a key.": 1, "It's a wall.": -1, "You hear a noise.": -1}


class Knows:
    """A model with these scores."""

    def __init__(self, scores: dict[str, float]) -> None:
        self._scores = {caption_id(text): score for text, score in scores.items()}

    def raw(self, ids: list[int]) -> np.ndarray:
        return np.array([self._scores[one] for one in ids])


def test_told_is_how_many_pairs_with_different_tiers_are_in_order():
    right = Knows(TIERS)
    assert told(right, list(TIERS), TIERS) == 1.0
    one_wrong = Knows({**TIERS, "It's a wall.": 1.5})  # of five pairs; that of equal tiers does not count
    assert told(one_wrong, list(TIERS), TIERS) == pytest.approx(4 / 5)


def test_the_judge_errs_and_leans_as_it_is_told():
    up, level = pair_question("You descend.", "It's a wall."), pair_question("It's a wall.", "You hear a noise.")
    draw = random.Random(0)
    assert [verdict(one, TIERS, 0.0, 0.0, draw).value for one in (up, level)] == [1.0, 0.5]
    assert verdict(level, TIERS, 0.0, 0.6, draw).value == 1.0
    assert len({verdict(level, TIERS, 0.7, 0.0, draw).value for _ in range(50)}) == 3


@pytest.mark.slow
def test_captions_are_the_games_own_and_a_model_learns_their_order():
    found = captions(400)
    assert found == captions(400) and len(found) == len(set(found)) > 10
    many = [
        f"You {verb} the {what}."
        for verb in ("descend", "see here", "hit", "miss")
        for what in map(chr, range(97, 123))
    ]
    assert learn(many, 2, 0.0, 0.0, 0) == learn(many, 2, 0.0, 0.0, 0) > 0.9


def test_the_claim_is_written_with_its_evidence_and_falls_with_it(tmp_path):
    rows = [
        {"judge": judge, "opponents": count, "seed": seed, "told": 0.9 - 0.02 * (count == 4)}
        for judge in JUDGES
        for count in (1, 2, 4)
        for seed in range(2)
    ]
    assert report(rows, "repeat me", tmp_path).holds
    lost = read_result(tmp_path / "pair-draws.json").figures["lost, noisy, 4 opponents"]
    assert lost.value == pytest.approx(0.02) and lost.n == 2
    spoilt = [row | {"told": 0.8} if row["opponents"] == 2 and row["judge"] == "noisy" else row for row in rows]
    assert not report(spoilt, "repeat me", tmp_path).holds


@pytest.mark.parametrize("wrong", ["colour=red", "opponents=[1,4]", "steps=50"])
def test_the_command_refuses_what_would_tell_nothing(tmp_path, wrong):
    with pytest.raises(UserError, match="expected"):
        main([wrong, f"results={tmp_path}"])
