"""Listwise judging and tournaments."""

import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import spearmanr

from rewards.judges.judge import Answer, question
from rewards.judges.kinds.listwise import presentation_orders
from rewards.judges.kinds.ratings import bradley_terry
from rewards.judges.kinds.tournament import Tournament, TournamentJudge, round_of
from rewards.verdicts import Status


def scores_by(worth):
    """A listwise model that scores each shown response by its text."""

    def write(chat, schema):
        blocks = chat[1]["content"].split("Response ")[1:]
        return {block[0]: next(score for text, score in worth.items() if text in block) for block in blocks}

    return write


WORTH = {"alpha": 5, "beta": 3, "gamma": 1, "delta": 2}


def test_listwise_scores_come_from_one_reply(rubric, scripted, ask):
    model = scripted(write=scores_by(WORTH))
    answer = ask(rubric("listwise", levels=5), model, question("group", list(WORTH)))
    assert answer.scores == (1.0, 0.5, 0.0, 0.25) and answer.value == pytest.approx(0.4375)
    assert answer.details["ranking"] == [0, 1, 3, 2] and len(model.written) == 1


def test_permuting_a_group_permutes_its_scores_even_for_a_judge_that_looks_at_places(rubric, scripted, ask):
    def by_place(chat, schema):
        labels = list(schema["properties"])
        return {label: 5 - place for place, label in enumerate(labels)}

    judged, texts = rubric("listwise", orders=2), list(WORTH)
    base = dict(zip(texts, ask(judged, scripted(write=by_place), question("group", texts)).scores, strict=True))
    for order in itertools.permutations(texts):
        found = ask(judged, scripted(write=by_place), question("group", order)).scores
        assert found == tuple(base[text] for text in order)


def test_equal_texts_have_equal_scores(rubric, scripted, ask):
    by_place = scripted(write=lambda chat, schema: {"A": 5, "B": 1, "C": 3})
    answer = ask(rubric("listwise"), by_place, question("group", ["same", "same", "same"]))
    assert len(set(answer.scores)) == 1


def test_more_orders_show_how_much_the_place_matters(rubric, scripted, ask):
    by_place = scripted(write=lambda chat, schema: {"A": 5, "B": 3, "C": 1})
    answer = ask(rubric("listwise", orders=8), by_place, question("group", ["x", "y", "z"]))
    assert answer.details["largest_shift"] > 0 and len(by_place.written) == 8
    fair = scripted(write=scores_by(WORTH))
    assert ask(rubric("listwise", orders=8), fair, question("group", list(WORTH))).details["largest_shift"] == 0


@pytest.mark.parametrize("reply", [{"A": 5, "B": 3}, {"A": 5, "B": 3, "C": 9}, {"A": 5, "B": 3, "C": 1, "D": 1}, "["])
def test_a_list_with_scores_missing_too_many_or_out_of_range_is_unparseable(rubric, scripted, ask, reply):
    answer = ask(rubric("listwise"), scripted(write=lambda *_: reply), question("group", ["x", "y", "z"]))
    assert (answer.status, answer.value, answer.scores) == (Status.UNPARSEABLE, None, ())


def test_a_group_of_one_or_of_too_many_is_refused(rubric, scripted, ask):
    model = scripted(write=lambda *_: "{}")
    one, many = ask(rubric("listwise"), model, question("group", ["x"]), question("group", [str(i) for i in range(27)]))
    assert "expected 2 to 26" in one.cause and "expected 2 to 26" in many.cause
    # Where a guard has refused all others it is no fault of the judge, which would be asked again and blamed for it.
    assert (one.status, many.status) == (Status.UNPARSEABLE, Status.JUDGE_FAULT)


@given(st.lists(st.text(max_size=3), min_size=2, max_size=8), st.integers(1, 4))
def test_orders_are_permutations_that_depend_on_the_set_of_texts_only(texts, count):
    orders = presentation_orders(texts, count)
    shown = [[texts[member] for member in order] for order in orders]
    reversed_texts = texts[::-1]
    assert all(sorted(order) == list(range(len(texts))) for order in orders)
    assert shown == [[reversed_texts[m] for m in order] for order in presentation_orders(reversed_texts, count)]


class Matches:
    """A judge of pairs of numbers: the larger one is better, with noise."""

    fingerprint = "matches"

    def __init__(self, noise=0.0, seed=0, broken=()):
        self._random, self._noise, self._broken = np.random.default_rng(seed), noise, set(broken)
        self.asked = []

    async def judge(self, questions):
        answers = []
        for one in questions:
            self.asked.append(one.texts)
            if len(self.asked) in self._broken:
                answers.append(Answer(Status.TIMEOUT, cause="slow"))
                continue
            a, b = map(float, one.texts)
            margin = a - b + self._random.normal(0, self._noise) if self._noise else a - b
            answers.append(Answer(Status.OK, float(1 / (1 + np.exp(-8 * margin)))))
        return answers

    async def check(self):
        pass


def play(texts, judge, **settings):
    rubric = Tournament.model_validate(
        {"id": "t", "version": 1, "kind": "tournament", "match": {"judge": "m"}, **settings}
    )
    (answer,) = asyncio.run(TournamentJudge(rubric, judge).judge([question("group", [str(t) for t in texts])]))
    return answer


@given(st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=2, max_size=12, unique=True))
def test_single_elimination_takes_exactly_two_n_minus_two_matches_and_finds_the_best(values):
    judge = Matches()
    answer = play(values, judge)
    assert len(judge.asked) == 2 * len(values) - 2
    assert answer.details["order"][0] == int(np.argmax(values)) == int(np.argmax(answer.scores))
    assert sorted(answer.scores) == pytest.approx([i / (len(values) - 1) for i in range(len(values))])
    assert answer.value == pytest.approx(0.5)


@pytest.mark.slow
@given(st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=2, max_size=12, unique=True))
def test_a_knockout_takes_n_minus_one_and_a_round_robin_ranks_all(values):
    knockout, everyone = Matches(), Matches()
    assert int(np.argmax(play(values, knockout, topology="knockout").scores)) == int(np.argmax(values))
    assert len(knockout.asked) == len(values) - 1
    scores = play(values, everyone, topology="round_robin").scores
    assert len(everyone.asked) == len(values) * (len(values) - 1) // 2
    assert np.argsort(scores).tolist() == np.argsort(values).tolist()


@pytest.mark.slow
def test_single_elimination_ranks_nearly_as_a_round_robin_and_better_than_anchor_or_points():
    """ArenaRL: Spearman correlation with the true ranking, the same noise for all."""
    found = {how: [] for how in ("single_elimination", "round_robin", "anchor", "points")}
    for seed in range(80):
        values = np.random.default_rng(seed).random(8).round(4)
        for how, correlations in found.items():
            if how == "points":
                scores = values + np.random.default_rng(1000 + seed).normal(0, 0.1, 8)
            else:
                scores = play(values, Matches(noise=0.1, seed=seed), topology=how).scores
            correlations.append(spearmanr(scores, values).statistic)
    means = {how: float(np.mean(correlations)) for how, correlations in found.items()}
    assert means["single_elimination"] > max(means["anchor"], means["points"]) + 0.01
    assert 0 < means["round_robin"] - means["single_elimination"] < 0.06


def test_where_every_match_is_a_tie_nobody_is_better():
    for topology in ("single_elimination", "knockout", "round_robin", "anchor"):
        assert play([0.5, 0.5001, 0.5002], Ties(), topology=topology).scores == (0.5, 0.5, 0.5)


def test_who_did_as_well_against_the_anchor_has_the_same_score():
    class Won(Matches):
        async def judge(self, questions):
            return [Answer(Status.OK, 1.0) for _ in questions]

    assert play([0.1, 0.2, 0.3, 0.4], Won(), topology="anchor").scores == pytest.approx((0, 2 / 3, 2 / 3, 2 / 3))


class Ties(Matches):
    async def judge(self, questions):
        return [Answer(Status.OK, 0.5) for _ in questions]


def test_a_match_without_a_result_goes_to_the_better_seed_and_is_counted():
    answer = play([0.9, 0.5, 0.1, 0.3], Matches(broken={4}))
    assert answer.status is Status.OK and answer.details["nulls"] == 1 and len(answer.details["matches"]) == 6


def test_a_member_of_whose_matches_none_has_a_result_has_no_score():
    answer = play([0.5, 0.2, 0.3, 0.4, 0.9], Matches(broken={3}), topology="anchor")  # the fourth against the first
    assert answer.scores == pytest.approx((2 / 3, 0.0, 1 / 3, None, 1.0)) and answer.value == pytest.approx(0.5)


def test_too_many_matches_without_a_result_leave_no_value():
    answer = play([0.9, 0.5, 0.1, 0.3], Matches(broken={1, 2, 4}))
    assert (answer.status, answer.value, answer.scores) == (Status.TIMEOUT, None, ())
    assert "3 of 6 matches" in answer.cause


def test_byes_go_to_the_best_seeds_and_the_best_meet_the_last():
    assert round_of([10, 11, 12, 13]) == ([(10, 13), (11, 12)], [])
    assert round_of([10, 11, 12, 13, 14, 15]) == ([(12, 15), (13, 14)], [10, 11])
    assert round_of([10, 11]) == ([(10, 11)], [])


def test_bradley_terry_recovers_what_an_independent_optimiser_finds():
    random = np.random.default_rng(3)
    wins = random.integers(0, 9, (5, 5)).astype(float)
    np.fill_diagonal(wins, 0)

    def loss(strengths):
        gaps = strengths[:, None] - strengths[None]
        anchor = 0.1 * (np.logaddexp(0, -strengths) + np.logaddexp(0, strengths)).sum()
        return float((wins * np.logaddexp(0, -gaps)).sum() + anchor)

    expected = minimize(loss, np.zeros(5), tol=1e-12).x
    np.testing.assert_allclose(bradley_terry(wins), expected - expected.mean(), atol=1e-4)


def test_who_never_lost_has_a_finite_strength_and_bad_tables_are_refused():
    strengths = bradley_terry(np.array([[0.0, 5.0], [0.0, 0.0]]))
    assert np.isfinite(strengths).all() and strengths[0] > strengths[1]
    for bad in (np.zeros((2, 3)), np.array([[0, np.nan], [0, 0]]), np.array([[0, -1.0], [0, 0]])):
        with pytest.raises(ValueError, match="square table"):
            bradley_terry(bad)
