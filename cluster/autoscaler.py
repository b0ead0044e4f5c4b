"""What Ray's autoscaler says of what is asked: whether there is one, and what it can never bring.

Which kinds of nodes an autoscaler may add is known to it alone, unless it tells the control store. Then the only way
to hear that something can never be given is to ask for it: version 2 says within a second or two what no kind of its
nodes would fit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from cluster.nodes import nodes_now
from cluster.placement import Ask
from cluster.reservations import Reservation

VERDICT_S = 15.0  # the autoscaler looks every five seconds by default
LOOK_S = 0.5
ANSWER_S = 10.0


def autoscaled() -> bool:
    """Whether an autoscaler of version 2 has told the control store of its state.

    Raises:
        ConnectionError: Ray's control store does not answer.
    """
    return int(_state().autoscaler_state_version) > 0


def never_placed(asks: Sequence[Ask]) -> list[str]:
    """Ask for room, and hear which roles the autoscaler can never bring nodes for.

    Gives up after `VERDICT_S`: what is not refused by then may come, and is waited for by whoever needs it.

    Args:
        asks: of roles that may stand on any node.

    Returns:
        Their names.

    Raises:
        ConnectionError: Ray's control store does not answer.
    """
    held = [Reservation(ask) for ask in asks]
    try:
        deadline, nodes = time.monotonic() + VERDICT_S, len(nodes_now())
        while time.monotonic() < deadline:
            waiting = [one for one in held if not one.placed]
            refused = _refused()
            found = [one.ask.role for one in waiting if one.ident in refused]
            if found or not waiting or len(nodes_now()) > nodes:
                return found
            time.sleep(LOOK_S)
        return []
    finally:
        for one in held:
            one.renew()


def _refused() -> set[str]:
    """Placement groups that no kind of node would fit, by id; others ask for equal bundles, with other labels."""
    # Ray tells of each as "ID:STRATEGY|STATE".
    return {gang.details.partition(":")[0] for gang in _state().infeasible_gang_resource_requests}


def _state() -> Any:
    """Ray's message of that name."""
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, as what is generated below
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # type: ignore[attr-defined]

    try:
        told = GcsClient(ray.get_runtime_context().gcs_address).get_cluster_status(timeout_s=ANSWER_S)
        return GetClusterStatusReply.FromString(told).autoscaling_state
    except Exception as error:
        raise ConnectionError(f"Ray's control store does not tell of its autoscaler: {error}") from error
