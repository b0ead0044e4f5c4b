"""The page of surveys is true: whatever a leaf leads to is there, and each survey has the leaves that it is about."""

from __future__ import annotations

from collections import Counter

import pytest

from pipelines.methods import read_index
from pipelines.taxonomy import PAGE, dead_links, leaves_of

INDEX = {method.n: method for method in read_index()}
LEAVES = leaves_of(PAGE.read_text(encoding="utf-8"))


def of(survey):
    return [leaf for leaf in LEAVES if leaf.survey == survey]


def test_whatever_a_leaf_leads_to_is_there():
    assert not dead_links(LEAVES, list(INDEX.values()))


def test_each_survey_is_one_and_lists_nothing_twice():
    assert all(INDEX[leaf.survey].kind == "survey" for leaf in LEAVES)
    assert set(Counter((leaf.survey, leaf.branch, leaf.name) for leaf in LEAVES).values()) == {1}


def test_a_failure_of_world_models_leads_to_a_measure_in_the_room_of_evaluation():
    failures = [leaf for leaf in of(108) if leaf.branch == "failure"]
    assert len(failures) == 6
    assert all(module.startswith("rewards.evaluation.") for leaf in failures for module in leaf.modules)


@pytest.mark.parametrize(
    ("survey", "branches"),
    [
        (108, {"use", "failure"}),
        (125, {"engineering", "shaping", "pitfall", "domain"}),
        (217, {"data", "outcome reward", "step reward", "credit", "systems", "architecture", "evaluation"}),
    ],
)
def test_a_survey_has_its_branches(survey, branches):
    assert not branches - {leaf.branch for leaf in of(survey)}


def test_of_each_dense_reward_it_is_told_what_it_reads_when_it_pays_what_it_changes_and_how_it_is_gamed():
    assert len(of(18)) >= 5
    assert all(len(leaf.cells) == 4 and all(leaf.cells) and leaf.covered for leaf in of(18))
