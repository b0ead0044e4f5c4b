from __future__ import annotations

import pytest

from actors.search.prompts import optimise_prompt
from actors.search.tree import visited


def longer(iterations):
    """Prompts are numbers, and score the more the greater they are; each has one rewriting."""
    settings = {"width": 1, "iterations": iterations, "exploration": 0.0}
    return optimise_prompt(0, lambda prompt: prompt + 1, lambda prompt: prompt / 10, **settings)


def test_without_exploration_and_with_one_rewriting_it_is_a_greedy_chain():
    assert (longer(1).prompt, longer(1).reward) == (3, 0.3)  # the first beyond depth 2 that scores more
    found = longer(3)
    assert [node.state for node in visited(found.root)] == [0, 1, 2, 3, 4, 5]
    assert found.prompt == 5 and len(found.root.returns) == 3


def test_a_prompt_is_scored_once_where_it_is_written():
    scored = []

    def score(prompt):
        scored.append(prompt)
        return len(set(prompt)) / 10

    letters = iter("abcdefghijklmnopqrstuvwxyz" * 40)
    found = optimise_prompt("", lambda prompt: prompt + next(letters), score, width=2, iterations=4, depth=3)
    nodes = list(visited(found.root))
    expanded = [node for node in nodes if node.children]
    assert len(scored) == 1 + 2 * len(expanded)
    assert found.reward == max(node.reward for node in nodes[1:])


def test_what_falls_below_its_parent_and_the_first_is_not_followed():
    scores = [0.5, 0.9, 0.8, 0.3, 0.9, 0.9]  # at depth 3 a score of 0.3 < (0.5 + 0.8) / 2
    found = optimise_prompt(0, lambda prompt: prompt + 1, scores.__getitem__, width=1, iterations=4)
    assert [node.state for node in visited(found.root)] == [0, 1, 2, 3]
    assert (found.prompt, found.reward) == (1, 0.9)


def test_the_first_prompt_stays_where_no_other_scores_more():
    found = optimise_prompt("as it is", lambda prompt: prompt + "!", lambda prompt: -float(len(prompt)), iterations=3)
    assert (found.prompt, found.reward) == ("as it is", -8.0)


def test_no_rewriting_and_no_score_are_refused():
    with pytest.raises(ValueError, match="at least 1 rewriting"):
        optimise_prompt("", str.upper, len, width=0)
    with pytest.raises(ValueError, match="got score nan"):
        optimise_prompt("", str.upper, lambda prompt: float("nan"))
