import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.judges.judge import question
from rewards.judges.kinds.adaptive import MAX_STRENGTH, Found, signed_score
from rewards.judges.kinds.pairwise import position_bias
from rewards.verdicts import Status

PAIR = question("pair", ["good", "bad"], prompt="?")


def shown_first(chat):
    text = chat[1]["content"]
    return "good" if text.index("good") < text.index("bad") else "bad"


def test_a_fair_judge_is_asked_in_both_orders_and_agrees_with_itself(rubric, scripted, ask):
    model = scripted(lambda chat, choices: (0.8, 0.1, 0.1) if shown_first(chat) == "good" else (0.1, 0.8, 0.1))
    answer = ask(rubric("pairwise"), model, PAIR)
    assert answer.value == pytest.approx(0.85)
    assert answer.details["orders_agree"] and answer.details["position_bias"] == pytest.approx(0)
    assert [shown_first(chat) for chat, _ in model.chosen] == ["good", "bad"] and answer.tokens == 20


def test_probabilities_that_sum_to_a_hair_more_than_one_are_worth_no_more_than_one(rubric, scripted, ask):
    model = scripted(lambda chat, choices: (1.0, 0.0, 1e-9) if shown_first(chat) == "good" else (0.0, 1.0, 0.0))
    assert ask(rubric("pairwise"), model, PAIR).value == 1.0


def test_a_judge_that_prefers_what_it_reads_first_gives_a_tie_and_its_bias_is_reported(rubric, scripted, ask):
    model = scripted(lambda chat, choices: (0.9, 0.1, 0.0))
    answer = ask(rubric("pairwise"), model, PAIR)
    assert answer.value == 0.5 and not answer.details["orders_agree"]
    assert answer.details["position_bias"] == pytest.approx(0.4)


def test_where_the_orders_disagree_the_mean_can_be_had_instead(rubric, scripted, ask):
    model = scripted(lambda chat, choices: (0.9, 0.1, 0) if shown_first(chat) == "good" else (0.6, 0.4, 0))
    assert ask(rubric("pairwise"), model, PAIR).value == 0.5
    assert ask(rubric("pairwise", on_disagreement="mean"), model, PAIR).value == pytest.approx((0.9 + 0.4) / 2)


def test_hard_values_are_wins_losses_and_ties(rubric, scripted, ask):
    for word, turned, value in [
        ("A", "B", 1.0),
        ("B", "A", 0.0),
        ("tie", "tie", 0.5),
        ("A", "A", 0.5),
        ("A", "tie", 0.5),
    ]:
        model = scripted(lambda chat, choices, w=word, t=turned: w if shown_first(chat) == "good" else t)
        assert ask(rubric("pairwise", soft=False), model, PAIR).value == value


@given(st.lists(st.floats(0.01, 1), min_size=6, max_size=6))
def test_turning_a_pair_round_turns_its_value_round(weights):
    import asyncio

    from rewards.judges.kinds.pairwise import WORTH, in_both_orders

    first, second = np.array(weights[:3]) / sum(weights[:3]), np.array(weights[3:]) / sum(weights[3:])

    async def one(pair):
        p = first if pair.texts == PAIR.texts else second
        return float(p[0] + p[2] / 2), ("A", "B", "tie")[int(np.argmax(p))]

    assert set(WORTH) == {"A", "B", "tie"}
    turned = question("pair", PAIR.texts[::-1], prompt="?")
    there, back = (asyncio.run(in_both_orders(pair, one, True, "tie")) for pair in (PAIR, turned))
    assert there.value == pytest.approx(1 - back.value)
    assert there.details["position_bias"] == pytest.approx(back.details["position_bias"])


def test_half_an_answer_is_none(rubric, scripted, ask):
    model = scripted(lambda chat, choices: (1, 0, 0) if shown_first(chat) == "good" else (np.nan,) * 3)
    answer = ask(rubric("pairwise"), model, PAIR)
    assert (answer.status, answer.value) == (Status.JUDGE_FAULT, None)


def test_the_bias_of_a_judge_is_told_over_many_pairs(rubric, scripted, ask):
    fair = scripted(lambda chat, choices: (0.8, 0.2, 0) if shown_first(chat) == "good" else (0.2, 0.8, 0))
    biased = scripted(lambda chat, choices: (0.9, 0.1, 0))
    answers = [ask(rubric("pairwise"), model, PAIR) for model in (fair, biased)]
    bias = position_bias(answers)
    assert bias.pairs == 2 and bias.mean == pytest.approx(0.2) and bias.disagreements == 0.5
    assert position_bias([]) is None


def test_a_question_with_one_text_or_of_another_kind_is_refused(rubric, scripted, ask):
    model = scripted(lambda chat, choices: "A")
    one, other = ask(rubric("pairwise"), model, question("pair", ["only"]), question("response", ["x"]))
    assert one.value is None and "expected 2" in one.cause
    assert other.value is None and "answers ['pair']" in other.cause


def found(kind, winner, strength):
    return Found(criterion="c", type=kind, winner=winner, strength=strength)


def test_signed_scores_are_a_weighted_mean_by_hand():
    assert signed_score([found("core", "A", 3), found("important", "B", 2), found("highlight", "tie", 3)]) == (
        pytest.approx((5 * 3 - 2 * 2) / 8)
    )


def test_a_critical_flaw_overrides_any_number_of_highlights():
    many = [found("highlight", "A", 3)] * 12 + [found("core", "A", 3)]
    assert signed_score([*many, found("critical_flaw", "B", 1)]) == -1.0
    assert signed_score([found("critical_flaw", "B", 3)] * 4) == -MAX_STRENGTH


def test_no_criteria_score_nothing():
    assert signed_score([]) == 0.0


def test_swapping_a_pair_negates_its_unbiased_score(rubric, scripted, ask):
    def write(chat, schema):
        winner, strength = ("A", 3) if shown_first(chat) == "good" else ("B", 1)
        return {"differences": [{"criterion": "truth", "type": "core", "winner": winner, "strength": strength}]}

    turned = question("pair", PAIR.texts[::-1], prompt="?")
    there, back = ask(rubric("adaptive"), scripted(write=write), PAIR, turned)
    assert there.details["signed_score"] == pytest.approx(2.0) == -back.details["signed_score"]
    assert there.value == pytest.approx(0.5 + 2 / 6) and there.value + back.value == pytest.approx(1)
    assert there.details["position_bias"] == pytest.approx((3 - 1) / 12) and there.details["orders_agree"]


def test_adaptive_criteria_with_veto_beat_a_pointwise_sum_at_the_same_noise():
    """OpenRS: answers with attributes; a fatal flaw decides, else the weighted attributes do."""
    random = np.random.default_rng(0)
    pairs, right = 400, {"veto": 0, "sum": 0}
    for _ in range(pairs):
        a, b = random.integers(0, 4, (2, 4))
        fatal = random.random(2) < 0.25
        core, important, *highlights = (a - b).tolist()
        gold = float(fatal[1]) - float(fatal[0]) or 5 * core + 2 * important + sum(highlights) + 1e-9
        noise = random.normal(0, 1.0, 5)

        def one(kind, difference):
            strength = min(3, max(-3, round(difference)))
            return found(kind, "A" if strength > 0 else "B", abs(strength))

        told = [one("core", core + noise[0]), one("important", important + noise[1])]
        told += [one("highlight", d + noise[2 + i]) for i, d in enumerate(highlights)]
        if fatal[0] != fatal[1]:
            told.append(found("critical_flaw", "B" if fatal[0] else "A", 1))
        pointwise = 5 * (core + noise[0]) + 2 * (important + noise[1]) + sum(highlights) + noise[2] + noise[3]
        pointwise += float(fatal[1]) - float(fatal[0])  # one criterion among others
        right["veto"] += signed_score(told) * gold > 0
        right["sum"] += pointwise * gold > 0
    assert right["veto"] > right["sum"] + 0.05 * pairs
