from __future__ import annotations

import math

import numpy as np
import pytest

from rewards.sources.evolving_rubric import Episode, EvolvingRubric, MetaRewardModel


def keep_and_add(rubric, refinements):
    return [*rubric, *(one for refinement in refinements for one in refinement)]


# Suspect is what is long; each cluster gets a criterion that names it.
META = MetaRewardModel(
    screen=lambda rubric, episode: len(episode.text) > 5,
    analyse=lambda rubric, episodes: f"{len(episodes)} long {episodes[0].cluster}",
    refine=lambda rubric, analysis: [f"brief: {analysis.split()[-1]}"],
    merge=keep_and_add,
)


def episodes(*texts, version=0, cluster="essays", score=1.0):
    return [Episode("write", text, score, version, cluster) for text in texts]


def revised(rubric, shown, meta=META, times=1):
    random = np.random.default_rng(0)
    return [rubric.after_batch(shown, meta, random) for _ in range(times)]


def test_without_an_interval_the_rubric_stays_and_nobody_is_asked():
    rubric = EvolvingRubric(["right"], every=None)
    assert revised(rubric, episodes("much too long"), MetaRewardModel(None, None, None, None), times=50) == [False] * 50
    assert rubric.criteria == ("right",) and rubric.version == 0 and rubric.batches == 50


def test_every_so_many_batches_it_is_analysed_refined_and_merged_by_hand():
    rubric = EvolvingRubric(["right"], every=3)
    assert revised(rubric, episodes("much too long", "ok"), times=3) == [False, False, True]
    assert rubric.versions == [("right",), ("right", "brief: essays")]
    # What the new rubric did not score is not shown, and what is said already is no new version.
    assert revised(rubric, episodes("much too long", version=0), times=3) == [False] * 3
    assert revised(rubric, episodes("much too long", version=1), times=3) == [False] * 3
    both = [*episodes("much too long", version=1), *episodes("longer than that", version=1, cluster="sums")]
    assert revised(rubric, both, times=3)[-1]
    assert rubric.criteria == ("right", "brief: essays", "brief: sums") and rubric.version == 2


def test_where_nothing_is_suspect_or_nothing_is_known_the_rubric_stays():
    rubric = EvolvingRubric(["right"], every=1)
    assert revised(rubric, episodes("ok", "fine")) == [False]
    assert revised(rubric, episodes("much too long", score=math.nan)) == [False]
    assert revised(rubric, []) == [False]
    assert revised(rubric, episodes("much too long"), META._replace(merge=lambda rubric, refinements: [])) == [False]


def test_a_revision_sees_no_more_episodes_than_it_may_each_once_and_in_their_order():
    seen = []
    meta = META._replace(screen=lambda rubric, episode: seen.append(episode.text))
    revised(EvolvingRubric(["right"], every=1, shown=20), episodes(*(f"{k:03}" for k in range(99))), meta)
    assert len(set(seen)) == 20 and seen == sorted(seen)


def test_a_rubric_does_not_grow_beyond_its_length_and_repeats_nothing():
    rubric = EvolvingRubric(["right"], every=1, most=2)
    meta = META._replace(refine=lambda rubric, analysis: ["right", "brief", "kind"])
    assert revised(rubric, episodes("much too long"), meta) == [True]
    assert rubric.criteria == ("right", "brief")


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="got 0 criteria"):
        EvolvingRubric([])
    with pytest.raises(ValueError, match="every=0"):
        EvolvingRubric(["right"], every=0)
