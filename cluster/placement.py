"""`Ask`: what the processes of a role need, and whether a cluster can ever give it; pure arithmetic, without Ray.

Bundles are put on nodes first-fit, the hardest to place first, as a scheduler would: a sum that fits says nothing where
no single node has the GPU, the memory or the label that one process needs. A GPU is a thing of its own: 0.6 of one and
0.6 of another leave no room for 0.6.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MIB = 2**20
NODE_ID = "ray.io/node-id"  # the label by which Ray tells its nodes apart
EPSILON = 1e-9
Strategy = Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]


class Place(BaseModel):
    """Where one process of a role may stand, and what is reserved for it there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float | None = Field(default=None, ge=0, description="logical CPUs; None: as the role needs")
    gpus: float | None = Field(default=None, ge=0, description="GPUs, fractions allowed; None: as the role needs")
    memory_mb: float = Field(default=0.0, ge=0, description="memory that Ray sets aside, MB")
    resources: dict[str, float] = Field(default_factory=dict, description="custom resources of the nodes, by name")
    labels: dict[str, str] = Field(
        default_factory=dict, description="labels that its node must have, as Ray's selectors: value, !value, in(a,b)"
    )


class Config(BaseModel):
    """Placement by role. A role that nothing is said of stands where there is room."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actors: Place = Field(default_factory=Place)
    engines: Place = Field(default_factory=Place)
    judge: Place = Field(default_factory=Place, description="labels and resources; CPUs and GPUs: serving.*")
    learner: Place = Field(default_factory=Place)
    trainer: Place = Field(default_factory=Place, description="of the reward model")
    inference: Place = Field(default_factory=Place)
    rewards: Place = Field(default_factory=Place, description="of reward functions, in language runs")
    replay: Place = Field(default_factory=Place)
    replay_anywhere: bool = Field(
        default=False,
        description="the run's directory is on storage that every node has at the same path; otherwise the replay "
        "stays on the node of the driver",
    )
    learners: Strategy = Field(default="PACK", description="how learners that share a batch are put on nodes")
    wait_s: float = Field(default=300.0, gt=0, description="for room that is taken, or that an autoscaler has to add")


@dataclass(frozen=True)
class Ask:
    """What some equal processes of a role ask for.

    Attributes:
        role: whose they are.
        count: how many processes.
        bundle: resources of each, by Ray's names: CPU, GPU, memory (bytes), custom ones.
        labels: selectors that a node must meet.
        strategy: STRICT_PACK: all on one node; STRICT_SPREAD: each on another.
        node: the id of the one node where they may stand; None: any.
    """

    role: str
    count: int
    bundle: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    strategy: Strategy = "PACK"
    node: str | None = None

    @classmethod
    def of(
        cls,
        role: str,
        count: int,
        place: Place,
        cpus: float = 1.0,
        gpus: float = 0.0,
        strategy: Strategy = "PACK",
        node: str | None = None,
    ) -> Ask:
        """What a role asks for; `cpus` and `gpus` are its own needs, where its place does not say otherwise."""
        wanted = {
            "CPU": cpus if place.cpus is None else place.cpus,
            "GPU": gpus if place.gpus is None else place.gpus,
            "memory": place.memory_mb * MIB,
            **place.resources,
        }
        bundle = {name: amount for name, amount in wanted.items() if amount > 0}
        return cls(role, count, bundle, dict(place.labels), strategy, node)


@dataclass(frozen=True)
class Shape:
    """A node, or a kind of node that an autoscaler may add.

    Attributes:
        resources: totals of one node.
        labels: of it.
        count: how many there are, or may be added.
        name: id of the node, or name of the kind.
    """

    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    name: str = ""


class Impossible(ValueError):
    """The cluster can never give what is asked; the message says what that is, and what there is."""


def check_room(asks: Sequence[Ask], nodes: Sequence[Shape], addable: Sequence[Shape] = ()) -> None:
    """See that all that is asked would fit on an empty cluster that has grown as far as it may.

    Args:
        asks: of all roles of a run.
        nodes: that are there, with their totals.
        addable: kinds of nodes that an autoscaler may add, each `count` times.

    Raises:
        Impossible: something fits nowhere, or not beside the rest.
    """
    shapes = [*nodes, *(shape for shape in addable for _ in range(min(shape.count, _most(asks))))]
    # The most demanding first: a learner's GPU must not be taken by what would have fitted anywhere. Labels that all
    # nodes bear look more demanding than they are, and much memory beside one CPU less: so those with the fewest nodes
    # to choose from first is tried as well.
    by_demand = sorted(asks, key=demand, reverse=True)
    by_choice = sorted(by_demand, key=lambda ask: sum(_fits_alone(ask, shape) for shape in shapes))
    if (lacking := _lacking(by_demand, shapes)) is not None and _lacking(by_choice, shapes) is not None:
        raise Impossible(_explain(*lacking, asks, nodes, addable))


def meets(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a node's labels meet Ray's selectors: `value`, `!value`, `in(a,b)`, `!in(a,b)`."""
    for key, selector in wanted.items():
        positive, text = not selector.startswith("!"), selector.removeprefix("!")
        values = text[3:-1].split(",") if text.startswith("in(") and text.endswith(")") else [text]
        if (labels.get(key) in [value.strip() for value in values]) is not positive:
            return False
    return True


def _most(asks: Sequence[Ask]) -> int:
    """More nodes of one kind than processes are never of use."""
    return sum(ask.count for ask in asks)


def demand(ask: Ask) -> tuple[float, ...]:
    """How hard an ask is to place: bound to a node or to labels, then rare resources, then CPUs, in one piece."""
    gang = ask.count if ask.strategy == "STRICT_PACK" else 1
    rare = gang * sum(amount for name, amount in ask.bundle.items() if name not in ("CPU", "memory"))
    return (ask.node is not None, bool(ask.labels), rare, gang * ask.bundle.get("CPU", 0.0))


class _Node:
    """What is left of a node while it is filled."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.left = dict(shape.resources)
        whole, part = divmod(self.left.pop("GPU", 0.0), 1.0)
        self.gpus = [1.0] * int(whole) + [part] * (part > EPSILON)

    def take(self, bundle: Mapping[str, float], times: int = 1) -> bool:
        """Take room for so many, or none at all; gives whether there was."""
        left, gpus = dict(self.left), list(self.gpus)
        for _ in range(times):
            if not _taken(bundle, left, gpus):
                return False
        self.left, self.gpus = left, gpus
        return True


def _taken(bundle: Mapping[str, float], left: dict[str, float], gpus: list[float]) -> bool:
    for name, amount in bundle.items():
        if name == "GPU":
            if not _taken_gpus(amount, gpus):
                return False
        elif left.get(name, 0.0) + EPSILON < amount:
            return False
        else:
            left[name] = left.get(name, 0.0) - amount
    return True


def _taken_gpus(amount: float, gpus: list[float]) -> bool:
    """Take whole GPUs, or a part of the one that has least room for it: Ray gives nobody parts of two."""
    if amount > 1.0:
        whole = [k for k, free in enumerate(gpus) if free + EPSILON >= 1.0]
        if amount != int(amount) or len(whole) < amount:
            return False
        for k in whole[: int(amount)]:
            gpus[k] = 0.0
        return True
    fitting = [k for k, free in enumerate(gpus) if free + EPSILON >= amount]
    if not fitting:
        return False
    gpus[min(fitting, key=lambda k: gpus[k])] -= amount
    return True


def _lacking(asks: Sequence[Ask], shapes: Sequence[Shape]) -> tuple[Ask, int] | None:
    """The first that finds no room after those before it, and for how many of it there was; None: all find it."""
    free = [_Node(shape) for shape in shapes]
    for ask in asks:
        placed = _place(ask, free)
        if placed < ask.count:
            return ask, placed
    return None


def _fits_alone(ask: Ask, shape: Shape) -> bool:
    """Whether an empty node has room for one of them; for all, where they must stand together."""
    times = ask.count if ask.strategy == "STRICT_PACK" else 1
    return _allowed(ask, shape) and _Node(shape).take(ask.bundle, times)


def _place(ask: Ask, free: Sequence[_Node]) -> int:
    """Take room for an ask; gives for how many of its processes there was."""
    if not ask.bundle and ask.node is None and not ask.labels:
        return ask.count
    fitting = [node for node in free if _allowed(ask, node.shape)]
    if ask.strategy == "STRICT_PACK":
        return ask.count if any(node.take(ask.bundle, ask.count) for node in fitting) else 0
    placed = 0
    for node in fitting:
        while placed < ask.count and node.take(ask.bundle):
            placed += 1
            if ask.strategy == "STRICT_SPREAD":
                break
            if not ask.bundle:
                return ask.count
    return placed


def _allowed(ask: Ask, shape: Shape) -> bool:
    return (ask.node is None or ask.node == shape.name) and meets(shape.labels, ask.labels)


def _explain(ask: Ask, placed: int, asks: Sequence[Ask], nodes: Sequence[Shape], addable: Sequence[Shape]) -> str:
    alone = f"{ask.count} × {amounts(ask.bundle)}" + (f" where {_pairs(ask.labels)}" if ask.labels else "")
    together = " all on one node" if ask.strategy == "STRICT_PACK" and ask.count > 1 else ""
    together = " each on another node" if ask.strategy == "STRICT_SPREAD" and ask.count > 1 else together
    together += " on the node of the driver" if ask.node is not None else ""
    others = "; ".join(f"{other.role} {other.count} × {amounts(other.bundle)}" for other in asks if other is not ask)
    named = {"CPU", "GPU", *(name for one in asks for name in one.bundle)}
    there = ", ".join(_grouped(nodes, named)) or "no node"
    could = ", ".join(_grouped([shape for shape in addable if shape.count], named)) or "nothing that it told"
    return (
        f"{ask.role} asks for {alone}{together}, and there can never be room for more than {placed} of them"
        + (f" beside the other roles ({others})" if others else "")
        + f"; the cluster has {there}; its autoscaler could add {could}. Lower the numbers or change placement.*, "
        "or add nodes"
    )


def _grouped(shapes: Sequence[Shape], named: Collection[str]) -> list[str]:
    """Equal nodes as one, with their number; of their resources those that somebody asks for."""
    found: dict[str, int] = {}
    for shape in shapes:
        resources = {name: amount for name, amount in shape.resources.items() if name in named}
        labels = {key: value for key, value in shape.labels.items() if key != NODE_ID}
        text = f"({amounts(resources)}{', ' + _pairs(labels) if labels else ''})"
        found[text] = found.get(text, 0) + shape.count
    return [f"{count} × {text}" for text, count in found.items()]


def amounts(bundle: Mapping[str, float]) -> str:
    """Resources in words: "CPU 2, GPU 0.5, memory 512 MB"; what Ray itself adds to a node is left out."""
    shown = []
    for name, amount in bundle.items():
        if name.startswith("node:") or name == "object_store_memory":
            continue
        shown.append(f"memory {amount / MIB:,.0f} MB" if name == "memory" else f"{name} {amount:g}")
    return ", ".join(shown) or "nothing"


def _pairs(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())
