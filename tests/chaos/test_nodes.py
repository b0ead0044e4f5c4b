"""A run on several nodes of Ray: what it can never have is refused, a node may be lost, and one that drains is left."""

from __future__ import annotations

import time

import pytest

from benchmarks.apparatus.raylets import Raylets

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

ON_WORKERS = {"placement__actors__resources__actors": 1, "checkpoint__every_s": 5}


@pytest.fixture
def raylets():
    """A head, and two nodes for env actors."""
    cluster = Raylets(head_cpus=5)
    try:
        for _ in range(2):
            cluster.add(1, actors=1)
        yield cluster
    finally:
        cluster.shutdown()


def happened(run, role, what):
    return [event for event in run.events if event["role"] == role and event["what"] == what]


def test_what_can_never_be_is_refused_one_node_is_lost_and_another_left_in_time(raylets, training):
    began = time.monotonic()
    refused = training("catch", ray__address=raylets.address, placement__learner__gpus=1)
    assert refused.wait(90) == 2, refused.output
    assert "learner asks for 1 × CPU 1, GPU 1" in refused.output and "2 × (" in refused.output
    assert "Traceback" not in refused.output and time.monotonic() - began < 90

    run = training("catch", frames=10**8, ray__address=raylets.address, **ON_WORKERS)
    run.until(lambda: run.process_of("env-actor-0") and run.process_of("env-actor-1"), 200, "env actors")
    run.until(lambda: run.metrics().get("updates", 0) >= 5, 60, "update")

    raylets.remove(raylets.nodes[0])
    run.until(lambda: [e for e in run.events if e["role"].startswith("env-actor") and e["what"] == "died"], 60, "death")
    lost = next(e["role"] for e in run.events if e["what"] == "died")
    before = run.metrics()["updates"]
    run.until(lambda: run.metrics()["updates"] > before + 3, 60, "learning with the actor that is left")
    raylets.add(1, actors=1)
    run.until(lambda: happened(run, lost, "recovered"), 120, "recovery on the node that joined")

    other = "env-actor-1" if lost == "env-actor-0" else "env-actor-0"
    spare = raylets.add(1, actors=1)
    raylets.drain(next(node for node in raylets.nodes if node not in (raylets.nodes[-2], spare)), 60.0)
    run.until(lambda: happened(run, other, "renewed"), 60, "leaving in time")
    before = run.metrics()["updates"]
    run.until(lambda: run.metrics()["updates"] > before + 3, 60, "learning")
    assert not happened(run, other, "died"), "it left, and was not killed"

    run.process.terminate()
    assert run.wait(90) == 0, run.output
    ledger, last = run.ledger, run.metrics()
    assert ledger["balanced"] and ledger["experience"]["sampled"]["frames"] == last["learnt_frames"]
    assert ledger["lost_rollouts"] <= ledger["deaths"][lost], "nothing is lost but what was under way on the dead node"


def test_a_learner_whose_node_is_lost_is_done_without_and_joins_when_there_is_room_again(raylets, training):
    for _ in range(2):
        raylets.add(1, learning=1)
    learners = {"scaling__learners__least": 1, "learners": 2, "batch_fragments": 2, "scaling__speed__settle_s": 1}
    place = {"placement__learner__resources__learning": 1, "checkpoint__every_s": 5, "actors__count": 1}
    run = training("catch", frames=10**8, ray__address=raylets.address, **learners, **place)

    def learns_on():
        before = run.metrics().get("updates", 0)
        run.until(lambda: run.metrics().get("updates", 0) > before + 3, 200, "updates")

    learns_on()
    raylets.remove(raylets.nodes[-1])
    run.until(lambda: [event for event in run.events if event["what"] == "left"], 60, "a learner leaving")
    lost = next(event["role"] for event in run.events if event["what"] == "left")
    assert happened(run, lost, "died") and "1 of at most 2 share a batch" in happened(run, lost, "left")[0]["cause"]
    learns_on()

    raylets.add(1, learning=1)
    run.until(lambda: happened(run, lost, "joined"), 60, "growing again")
    # Only its answer shows that it learns with the others; the updates before that are theirs.
    run.until(lambda: happened(run, lost, "recovered"), 120, "its answer")
    learns_on()
    assert happened(run, lost, "joined")[0]["time_s"] > happened(run, lost, "left")[0]["time_s"]
    run.process.terminate()
    assert run.wait(90) == 0, run.output
    ledger, last = run.ledger, run.metrics()
    # Once more where Ray said only after it was begun there again that its node has gone.
    assert ledger["balanced"] and set(ledger["deaths"]) == {lost} and ledger["deaths"][lost] <= 2
    assert run.tree["roles"]["learner"]["learner"]["counters"][0] == last["updates"] == ledger["experience"]["samples"]
    assert ledger["experience"]["sampled"]["frames"] == last["learnt_frames"], "nothing was learnt twice or skipped"
