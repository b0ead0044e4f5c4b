"""A run on several nodes of Ray: what it can never have is refused, a node may be lost, and one that drains is left."""

from __future__ import annotations

import time

import pytest

from benchmarks.apparatus.live import PATIENCE_S
from benchmarks.apparatus.raylets import Raylets

pytestmark = pytest.mark.chaos

STAYS_S = 600.0  # how long a node that drains stays, at most: longer than moving takes on any machine

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
    refused = training("catch", ray__address=raylets.address, placement__learner__gpus=1)
    assert refused.wait() == 2, refused.output
    assert "learner asks for 1 × CPU 1, GPU 1" in refused.output and "2 × (" in refused.output
    assert "Traceback" not in refused.output

    actors = ("env-actor-0", "env-actor-1")
    run = training("catch", frames=10**8, ray__address=raylets.address, **ON_WORKERS)
    run.until(lambda: all(run.process_of(actor) for actor in actors), PATIENCE_S, "env actors")
    run.learns_on()

    raylets.remove(raylets.nodes[0])
    run.until(lambda: any(happened(run, actor, "died") for actor in actors), PATIENCE_S, "death")
    (lost,) = (actor for actor in actors if happened(run, actor, "died"))
    run.learns_on()  # with the actor that is left
    joined = raylets.add(1, actors=1)
    run.until(lambda: happened(run, lost, "recovered"), PATIENCE_S, "recovery on the node that joined")

    (other,) = (actor for actor in actors if actor != lost)
    spare = raylets.add(1, actors=1)
    raylets.drain(next(node for node in raylets.nodes if node not in (joined, spare)), STAYS_S)
    run.until(lambda: happened(run, other, "renewed"), PATIENCE_S, "leaving in time")
    run.learns_on()
    assert not happened(run, other, "died"), "it left, and was not killed"

    run.process.terminate()
    assert run.wait() == 0, run.output
    ledger, last = run.ledger, run.metrics()
    assert ledger["balanced"] and ledger["experience"]["sampled"]["frames"] == last["learnt_frames"]
    assert set(ledger["deaths"]) == {lost}
    # A rollout that was under way on the dead node, and one whose rows were still there.
    assert ledger["lost_rollouts"] <= 2 * ledger["deaths"][lost]


def test_a_learner_whose_node_is_lost_is_done_without_and_joins_when_there_is_room_again(raylets, training):
    for _ in range(2):
        raylets.add(1, learning=1)
    learners = {"scaling__learners__least": 1, "learners": 2, "batch_fragments": 2, "scaling__speed__settle_s": 1}
    place = {"placement__learner__resources__learning": 1, "checkpoint__every_s": 5, "actors__count": 1}
    run = training("catch", frames=10**8, ray__address=raylets.address, **learners, **place)
    # Both: a slow machine begins with one, and the other joins it.
    run.until(lambda: run.process_of("learner") and run.process_of("learner-1"), PATIENCE_S, "learners")
    run.learns_on()

    raylets.remove(raylets.nodes[-1])
    run.until(lambda: [event for event in run.events if event["what"] == "left"], PATIENCE_S, "a learner leaving")
    lost = next(event["role"] for event in run.events if event["what"] == "left")
    assert happened(run, lost, "died") and "1 of at most 2 share a batch" in happened(run, lost, "left")[0]["cause"]
    before = len(happened(run, lost, "joined")), len(happened(run, lost, "recovered"))
    began_s, used_s = time.monotonic(), raylets.store_cpu_s
    run.learns_on()
    used_s, took_s = raylets.store_cpu_s - used_s, time.monotonic() - began_s
    assert used_s < 1 + 0.1 * took_s, f"Ray looks for the lost room without a pause: {used_s:.1f} of {took_s:.1f} s"

    raylets.add(1, learning=1)
    run.until(lambda: happened(run, lost, "joined")[before[0] :], PATIENCE_S, "growing again")
    # Only its answer shows that it learns with the others; the updates before that are theirs.
    run.until(lambda: happened(run, lost, "recovered")[before[1] :], PATIENCE_S, "its answer")
    run.learns_on()
    run.process.terminate()
    assert run.wait() == 0, run.output
    ledger, last = run.ledger, run.metrics()
    # Once more, where Ray said only after it was begun there again that its node has gone.
    assert ledger["balanced"] and set(ledger["deaths"]) == {lost}
    assert run.tree["roles"]["learner"]["learner"]["counters"][0] == last["updates"] == ledger["experience"]["samples"]
    assert ledger["experience"]["sampled"]["frames"] == last["learnt_frames"], "nothing was learnt twice or skipped"
