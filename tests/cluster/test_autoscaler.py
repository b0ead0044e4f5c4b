"""What an autoscaler refuses is told apart by who asked for it."""

from __future__ import annotations

from ray.core.generated.autoscaler_pb2 import AutoscalingState

from cluster import autoscaler
from cluster.placement import Ask


class Held:
    """Room that was asked for, and has not come."""

    placed = False

    def __init__(self, ask):
        self.ask, self.given_back = ask, False
        self.ident = {"actors": "aa01", "learner": "bb02"}[ask.role]

    def renew(self):
        self.given_back = True


def told(*groups):
    """The autoscaler's word: equal bundles, each of a placement group of its own."""
    state = AutoscalingState(autoscaler_state_version=3)
    for ident in groups:
        gang = state.infeasible_gang_resource_requests.add(details=f"{ident}:PACK|PENDING")
        request = gang.bundle_selectors.add().resource_requests.add()
        request.resources_bundle["CPU"] = 1.0
    return state


def refused(monkeypatch, *groups):
    monkeypatch.setattr(autoscaler, "Reservation", Held)
    monkeypatch.setattr(autoscaler, "nodes_now", list)
    monkeypatch.setattr(autoscaler, "_state", lambda: told(*groups))
    monkeypatch.setattr(autoscaler, "VERDICT_S", 0.05)
    monkeypatch.setattr(autoscaler, "LOOK_S", 0.01)
    return autoscaler.never_placed([Ask("actors", 1, {"CPU": 1.0}), Ask("learner", 1, {"CPU": 1.0}, {"pool": "none"})])


def test_a_role_is_refused_for_its_own_room_and_not_for_an_equal_one_of_somebody_else(monkeypatch):
    assert refused(monkeypatch, "bb02") == ["learner"]
    assert refused(monkeypatch, "cc03") == [], "another run's, whose labels no node has"
