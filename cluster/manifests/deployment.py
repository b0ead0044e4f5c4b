"""`Deployment`: the one description that every manifest is made from: what runs, on which nodes, and who may reach it.

No secret is in it, nor can be: secrets are named, and live in the cluster or the environment.
"""

from __future__ import annotations

import math
import re
import shlex
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
QUANTITY = re.compile(r"(0|[1-9]\d*)(\.\d+)?(m|k|[MGT]|[KMGT]i)?")
IMAGE = re.compile(r"[a-z0-9][\w.:/-]*[\w](@sha256:[0-9a-f]{64})?")
WORD = re.compile(r"[\w.,:/@%+=\[\]{}-]+")
SECRET_KEY = re.compile(r"(^|[._])((api)?key|token|secret|passw(or)?d|passphrase|credentials?)$", re.IGNORECASE)
SECRET_URL = re.compile(r"://[^/\s]*:[^/\s]*@")
# KubeRay makes names of services and pods out of it, and 63 is their end: it refuses a RayService, NAME-rewards here,
# of more than 47, and a RayJob.
LONGEST_NAME = 39
HEAD_NAMES = ("head", "headgroup")  # what the launcher's files call the head, and what KubeRay calls its group
LONGEST_GRACE_S = {"gcp": (25, "GCP ends a spot VM after 30 s"), "aws": (110, "AWS ends a spot instance after 120 s")}


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME or not LABEL.fullmatch(text):
        raise ValueError(
            f"got {text!r}; expected at most {LONGEST_NAME} lower-case letters, digits and '-', beginning with a letter"
        )
    return text


def _quantity(text: str) -> str:
    if not QUANTITY.fullmatch(text) or float(re.sub(r"[mkKMGTi]", "", text)) == 0:
        raise ValueError(f"got {text!r}; expected a quantity of Kubernetes, such as 500m, 4 or 16Gi")
    return text


def _image(text: str) -> str:
    if not IMAGE.fullmatch(text) or "//" in text:
        raise ValueError(f"got {text!r}; expected an image, such as registry.example/guerdon:0.1.0")
    tail = text.rpartition("/")[2]
    if tail.endswith(":latest") or not (":" in tail or "@" in tail):
        raise ValueError(f"got {text!r}; expected a version: what is pulled tomorrow must be what was tested today")
    return text


def holds_secret(word: str) -> bool:
    """Whether a `key=value` is a key or a password, by its last name or by a user in its URL; `max_tokens=` is none."""
    key, _, value = word.partition("=")
    return bool(SECRET_URL.search(word) or (value and SECRET_KEY.search(key)))


def _word(text: str) -> str:
    if not WORD.fullmatch(text):
        raise ValueError(
            f"got {text!r}; expected letters, digits and .,:/@%+=[]{{}}- only: it becomes part of a command"
        )
    if holds_secret(text):
        raise ValueError(
            f"{text.partition('=')[0]} looks like a secret, and manifests are no place for one: "
            "name its Secret in secret_env"
        )
    return text


Name = Annotated[str, AfterValidator(_name)]
Quantity = Annotated[str, AfterValidator(_quantity)]
Image = Annotated[str, AfterValidator(_image)]
Word = Annotated[str, AfterValidator(_word)]
Cloud = Literal["aws", "gcp", "none"]


def pieces(quantity: str) -> float:
    """A quantity as a number: CPUs, or bytes."""
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", quantity).groups()  # type: ignore[union-attr]
    scales = {"": 1.0, "m": 1e-3, **{u: 1000.0**n for n, u in enumerate("kMGT", 1)}}
    scales |= {f"{u}i": 1024.0**n for n, u in enumerate("KMGT", 1)}
    return float(number) * scales[unit]


class Part(BaseModel):
    """What the parts of a description have in common: they do not change, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Pool(Part):
    """Nodes of one kind.

    Attributes:
        cpu: of a pod, requested and limited alike, so that nobody else's work makes frames late.
        memory: of a pod; Ray's object store takes a third of it.
        gpu: of a pod.
        spot: whether its nodes may be taken away at short notice.
        aws_type: of the instances that the cluster launcher starts there.
        gcp_type: the same on GCP.
        gcp_gpu: kind of GPU that is attached on GCP, where the machine type has none of its own.
    """

    name: Name
    cpu: Quantity = "4"
    memory: Quantity = "16Gi"
    gpu: int = Field(default=0, ge=0, le=16)
    min_replicas: int = Field(default=0, ge=0)
    max_replicas: int = Field(default=8, ge=1)
    spot: bool = False
    aws_type: str = Field(default="m7i.xlarge", pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")
    gcp_type: str = Field(default="n2-standard-4", pattern=r"^[a-z0-9-]+$")
    gcp_gpu: str = Field(default="", pattern=r"^[a-z0-9-]*$")

    @model_validator(mode="after")
    def _ordered(self) -> Pool:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"pool {self.name}: min_replicas ({self.min_replicas}) is above max_replicas ({self.max_replicas})"
            )
        return self


ENV_ACTORS = Pool(name="actors", spot=True, max_replicas=16)
GPUS = Pool(name="gpus", cpu="8", memory="64Gi", gpu=1, max_replicas=4, aws_type="g6.2xlarge", gcp_type="g2-standard-8")


class Deployment(Part):
    """A run on a cluster.

    Attributes:
        name: of the run and of everything that belongs to it; a run that is submitted again under it goes on.
        image: that every container runs; made by the Dockerfile among the manifests.
        ray_version: of the image and of the manifests, that of constraints.txt.
        python_version: the same.
        recipe: what is trained, and `overrides` its settings, as for `guerdon train`.
        reward: what the RayService serves, a target of `guerdon serve-rewards`.
        storage_class: of the volume that holds the runs; None: the cluster's own default.
        storage: size of that volume.
        token_secret: Secret whose key `auth_token` is Ray's token; None: KubeRay makes one.
        secret_env: environment variables of the containers, as VARIABLE=SECRET/KEY.
        redis: host:port of a Redis that keeps the state of Ray's head; None: a dead head ends the cluster, and the job
            is submitted again.
        redis_secret: Secret whose key `password` opens it.
        tolerate: taints that pods of spot pools bear, beside those of the clouds.
        drain_grace_s: how long a node that is going away may take; GCP gives 30 s, AWS two minutes.
        egress_ports: TCP ports outside that pods may reach: 443 for storage and judges, 6443 for the API.
        prometheus_namespace: from where metrics may be read.
        callers: namespaces, beside the deployment's own, from which the reward that is served may be called.
        retries: how often the job is submitted again, each time to a new cluster, before it counts as failed.
        ttl_s: how long the cluster of a finished job stays.
        deadline_s: after which the job is ended; None: never.
        idle_s: after which a worker with nothing to do is given back.
        aws_security_group: of the instances that the cluster launcher starts, made beforehand: they reach each other,
            and whoever runs `ray up` reaches their port 22. The default is none of anybody's, and is refused by AWS.
    """

    name: Name = "guerdon"
    namespace: Name = "guerdon"
    image: Image = "registry.example/guerdon:0.1.0"
    ray_version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    python_version: str = Field(default="3.11", pattern=r"^3\.\d+$")
    recipe: Word = "minihack"
    overrides: tuple[Word, ...] = ()
    reward: Word = "rules"
    head_cpu: Quantity = "4"
    head_memory: Quantity = "16Gi"
    pools: tuple[Pool, ...] = (ENV_ACTORS, GPUS)
    storage_class: Name | None = None
    storage: Quantity = "100Gi"
    token_secret: Name | None = None
    secret_env: tuple[Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*=[a-z0-9.-]+/[\w.-]+$")], ...] = ()
    redis: Annotated[str, Field(pattern=r"^[a-z0-9.-]+:\d{1,5}$")] | None = None
    redis_secret: Name = "redis-password"
    tolerate: tuple[Annotated[str, Field(pattern=r"^[\w./-]+=[\w.-]+$")], ...] = ()
    cloud: Cloud = "none"
    drain_grace_s: int = Field(default=25, ge=5, le=600)
    egress_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (443, 6443)
    prometheus_namespace: Name = "monitoring"
    callers: tuple[Name, ...] = ()
    retries: int = Field(default=3, ge=0)
    ttl_s: int = Field(default=600, ge=0)
    deadline_s: int | None = Field(default=None, ge=60)
    idle_s: int = Field(default=120, ge=10)
    aws_region: str = Field(default="eu-central-1", pattern=r"^[a-z0-9-]+$")
    gcp_region: str = Field(default="europe-west4", pattern=r"^[a-z0-9-]+$")
    gcp_zone: str = Field(default="europe-west4-a", pattern=r"^[a-z0-9-]+$")
    gcp_project: str = Field(default="my-project", pattern=r"^[a-z][a-z0-9-]+$")
    aws_security_group: str = Field(default="sg-00000000", pattern=r"^sg-[0-9a-f]{8,17}$")

    @model_validator(mode="after")
    def _fits(self) -> Deployment:
        names = [pool.name for pool in self.pools]
        if len(set(names)) < len(names):
            raise ValueError(f"got pools {', '.join(names)}; expected a name of its own for each")
        if not self.pools:
            raise ValueError("got no pools; expected one at least: the head runs no work")
        if taken := [name for name in names if name in HEAD_NAMES]:
            raise ValueError(f"got a pool {taken[0]}; expected another name: so the head's own group is called")
        longest_s, why = LONGEST_GRACE_S.get(self.cloud, (math.inf, ""))
        if self.drain_grace_s > longest_s and any(pool.spot for pool in self.pools):
            raise ValueError(f"drain_grace_s: got {self.drain_grace_s}; expected at most {longest_s}: {why}")
        return self

    @property
    def training(self) -> str:
        """The command that trains, for a shell; given again, it goes on with the run of this name."""
        places = [f"run={self.name}", "runs=/runs", "ray.address=auto"]
        return shlex.join(["guerdon", "train", self.recipe, *self.overrides, *places])
