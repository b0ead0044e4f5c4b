"""What a cluster can ever give, by numbers worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.placement import Ask, Impossible, Place, Shape, check_room, meets

CPU2, CPU4 = Shape({"CPU": 2.0}), Shape({"CPU": 4.0})
GPU = Shape({"CPU": 8.0, "GPU": 1.0}, {"pool": "gpu"})


def test_what_fits_by_sum_but_on_no_node_is_refused_with_what_was_asked_and_what_there_is():
    nodes = [Shape({"CPU": 2.0, "memory": memory}, {"ray.io/node-id": str(memory)}) for memory in (5e9, 6e9)]
    with pytest.raises(Impossible) as refused:
        check_room([Ask("learner", 1, {"CPU": 3.0})], nodes)
    text = str(refused.value)
    assert "learner asks for 1 × CPU 3" in text and "2 × (CPU 2)" in text and "could add nothing that it told" in text


def test_what_an_autoscaler_may_add_counts_and_is_named():
    check_room([Ask("learner", 1, {"GPU": 1.0})], [CPU2], [Shape({"GPU": 1.0, "CPU": 4.0}, count=1)])
    with pytest.raises(Impossible, match=r"could add 1 × \(GPU 1, CPU 4\)"):
        check_room([Ask("learners", 2, {"GPU": 1.0})], [CPU2], [Shape({"GPU": 1.0, "CPU": 4.0}, count=1)])


def test_fractions_of_a_gpu_are_shared_and_no_more_than_the_whole():
    roles = [Ask("engines", 2, {"GPU": 0.25}), Ask("learner", 1, {"GPU": 0.5})]
    check_room(roles, [GPU])
    with pytest.raises(Impossible, match="beside the other roles"):
        check_room([*roles, Ask("judge", 1, {"GPU": 0.1})], [GPU])


@pytest.mark.parametrize(("gpus", "each", "fit"), [(2, 0.6, 2), (2, 0.5, 4), (1, 1.5, 0), (2, 1.5, 0), (4, 2, 2)])
def test_a_process_has_its_part_of_one_gpu_or_whole_ones(gpus, each, fit):
    """Ray shares out GPUs one by one: three times 0.6 never come of two, whatever their sum."""
    node = [Shape({"CPU": 9.0, "GPU": float(gpus)})]
    check_room([Ask("engines", fit, {"GPU": each})], node)
    with pytest.raises(Impossible, match=f"room for more than {fit} of them"):
        check_room([Ask("engines", fit + 1, {"GPU": each})], node)


def test_what_fits_in_one_order_is_not_refused_because_it_does_not_in_another():
    large, small = Shape({"CPU": 8.0, "memory": 64.0}), Shape({"CPU": 8.0, "memory": 16.0})
    trainer, actors = Ask("trainer", 1, {"CPU": 1.0, "memory": 60.0}), Ask("actors", 4, {"CPU": 2.0, "memory": 1.0})
    check_room([trainer, actors], [large, small])
    both = {"zone": "a"}
    gpu, cpu = Shape({"CPU": 4.0, "GPU": 1.0}, both), Shape({"CPU": 8.0}, both)
    check_room([Ask("learner", 1, {"CPU": 1.0, "GPU": 1.0}), Ask("actors", 8, {"CPU": 1.0}, both)], [gpu, cpu])
    with pytest.raises(Impossible, match="learner asks for"):
        check_room([Ask("learner", 1, {"CPU": 1.0, "GPU": 1.0}), Ask("actors", 12, {"CPU": 1.0}, both)], [gpu, cpu])


def test_one_that_fits_anywhere_does_not_take_the_place_of_one_that_does_not():
    """First come, first served would put the actors on the first node, where alone the learner fits."""
    check_room([Ask("actors", 2, {"CPU": 2.0}), Ask("learner", 1, {"CPU": 4.0})], [CPU4, CPU4])


def test_strict_groups_want_one_node_or_as_many_as_there_are_of_them():
    pair = {"CPU": 2.0}
    check_room([Ask("learner", 2, pair, strategy="STRICT_PACK")], [CPU4])
    with pytest.raises(Impossible, match="all on one node"):
        check_room([Ask("learner", 2, pair, strategy="STRICT_PACK")], [CPU2, CPU2])
    check_room([Ask("learner", 2, pair, strategy="STRICT_SPREAD")], [CPU2, CPU2])
    with pytest.raises(Impossible, match="each on another node"):
        check_room([Ask("learner", 2, pair, strategy="STRICT_SPREAD")], [CPU4])


def test_labels_and_the_drivers_node_are_heeded():
    head = Shape({"CPU": 0.0}, name="head")
    check_room([Ask("engines", 1, {"GPU": 1.0}, {"pool": "gpu"})], [CPU2, GPU])
    with pytest.raises(Impossible, match="where pool=cpu"):
        check_room([Ask("actors", 1, {"CPU": 1.0}, {"pool": "cpu"})], [GPU])
    with pytest.raises(Impossible, match="on the node of the driver"):
        check_room([Ask("replay", 1, {"CPU": 1.0}, node="head")], [head, CPU4])
    check_room([Ask("replay", 4, {}, node="head")], [head])


@pytest.mark.parametrize(
    ("selector", "value", "fits"),
    [
        ("cpu", "cpu", True),
        ("cpu", None, False),
        ("!cpu", "cpu", False),
        ("!cpu", None, True),
        ("in(a, b)", "b", True),
        ("!in(a,b)", "b", False),
    ],
)
def test_selectors_are_rays(selector, value, fits):
    assert meets({} if value is None else {"pool": value}, {"pool": selector}) is fits


def test_a_place_replaces_what_a_role_asks_for_by_itself():
    place = Place(cpus=0, gpus=0.5, memory_mb=2, resources={"fast": 1.0}, labels={"pool": "gpu"})
    ask = Ask.of("learner", 1, place, cpus=1.0)
    assert ask.bundle == {"GPU": 0.5, "memory": 2 * 2**20, "fast": 1.0} and ask.labels == {"pool": "gpu"}
    assert Ask.of("learner", 1, Place(), gpus=0.25).bundle == {"CPU": 1.0, "GPU": 0.25}


@given(st.lists(st.integers(1, 8), max_size=6), st.lists(st.integers(1, 4), max_size=8))
def test_what_is_let_through_is_never_more_than_there_is(nodes, processes):
    shapes = [Shape({"CPU": float(cpus)}) for cpus in nodes]
    try:
        check_room([Ask("a", 1, {"CPU": float(cpus)}) for cpus in processes], shapes)
    except Impossible:
        # One process alone that fits nowhere, or too little in all, or pieces that do not fit beside each other.
        assert processes
    else:
        assert sum(processes) <= sum(nodes) and max(processes, default=0) <= max(nodes, default=0)
