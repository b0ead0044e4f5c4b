from __future__ import annotations

from rewards.sources.motions import motion_rewards


def test_a_motion_is_paid_by_what_it_did_and_else_by_what_it_was_for():
    grasp = [True, True, True, False, False, False]
    aimed = [True, True, False, True, True, False]
    effective = [True, False, False, True, False, False]
    assert motion_rewards(grasp, aimed, effective).tolist() == [1, 0.5, 0, 0.5, 0.25, 0]
    assert motion_rewards(False, False, True) == 0.5
