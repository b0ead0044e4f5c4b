"""Pods of a Ray cluster: who they run as, what they may use, on which nodes they land, and how they leave."""

from __future__ import annotations

from typing import Any

from cluster.jobs import STOP_WAIT_S
from cluster.manifests.deployment import Deployment, Pool

USER = 10001  # of the image; a number, so that Kubernetes can see that it is not root
RUNS = "/runs"
SESSION = "ray-logs"  # KubeRay's name: by it the autoscaler beside the head is given the same /tmp/ray, and no other
SECRET_TOKEN = "GUERDON_REWARD_TOKEN"
SPOT_TAINTS = (
    ("cloud.google.com/gke-spot", "true"),
    ("karpenter.sh/capacity-type", "spot"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
)
SPOT_NODES = {
    "aws": {"karpenter.sh/capacity-type": "spot"},
    "gcp": {"cloud.google.com/gke-spot": "true"},
    "none": {},
}
PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080, "serve": 8000}


def head(deployment: Deployment) -> dict[str, Any]:
    """The group of the head: it coordinates, drives the run, and offers no CPU to actors."""
    template = _template(deployment, "ray-head", deployment.head_cpu, deployment.head_memory, 0, tuple(PORTS))
    return {"rayStartParams": {"dashboard-host": "0.0.0.0", "num-cpus": "0"}, "template": template}


def workers(deployment: Deployment, pool: Pool) -> dict[str, Any]:
    """The group of a pool."""
    template = _template(deployment, "ray-worker", pool.cpu, pool.memory, pool.gpu, ("metrics", "serve"))
    spec = template["spec"]
    tolerations = []
    if pool.spot:
        own = tuple(taint.partition("=")[::2] for taint in deployment.tolerate)
        tolerations += [
            {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            for key, value in (*SPOT_TAINTS, *own)
        ]
        spec["nodeSelector"] = dict(SPOT_NODES[deployment.cloud])
    if pool.gpu:
        tolerations.append({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"})
    if tolerations:
        spec["tolerations"] = tolerations
    return {
        "groupName": pool.name,
        "replicas": pool.min_replicas,
        "minReplicas": pool.min_replicas,
        "maxReplicas": pool.max_replicas,
        "rayStartParams": {},
        "template": template,
    }


def leaving(deployment: Deployment) -> str:
    """What a pod does before it ends: tells Ray until when, and stays that long."""
    grace_s = deployment.drain_grace_s
    reason = "--reason DRAIN_NODE_REASON_PREEMPTION --reason-message 'the pod is being taken away'"
    return f"ray drain-node {reason} --deadline-remaining-seconds {grace_s}; sleep {grace_s}"


def security() -> dict[str, Any]:
    """What a container may do: as little as it can."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _template(
    deployment: Deployment, name: str, cpu: str, memory: str, gpu: int, ports: tuple[str, ...]
) -> dict[str, Any]:
    amount: dict[str, str] = {"cpu": cpu, "memory": memory, **({"nvidia.com/gpu": str(gpu)} if gpu else {})}
    container: dict[str, Any] = {
        "name": name,
        "image": deployment.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": port, "containerPort": PORTS[port]} for port in ports],
        "env": environment(deployment),
        "resources": {"requests": dict(amount), "limits": dict(amount)},
        "securityContext": security(),
        # A pod that is told to go tells Ray first: nothing new comes, who watches its node moves away, and the run of a
        # head that goes is saved.
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", leaving(deployment)]}}},
        "volumeMounts": [
            {"name": "runs", "mountPath": RUNS},
            {"name": SESSION, "mountPath": "/tmp/ray"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }
    spec: dict[str, Any] = {
        "automountServiceAccountToken": name == "ray-head",  # only the autoscaler speaks to the API
        "restartPolicy": "Never",  # the autoscaler replaces nodes, and must not meet one again
        "terminationGracePeriodSeconds": deployment.drain_grace_s + 5,
        "securityContext": {"fsGroup": USER},
        "containers": [container],
        "volumes": [
            {"name": "runs", "persistentVolumeClaim": {"claimName": f"{deployment.name}-runs"}},
            {"name": SESSION, "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
    }
    return {"metadata": {"labels": labels(deployment)}, "spec": spec}


def labels(deployment: Deployment) -> dict[str, str]:
    """By which everything of a deployment is found."""
    return {"app.kubernetes.io/name": "guerdon", "app.kubernetes.io/instance": deployment.name}


def environment(deployment: Deployment) -> list[dict[str, Any]]:
    """Variables of a container; secrets come from where they are kept."""
    plain = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "GUERDON_CACHE": f"{RUNS}/.cache",
        "RAY_worker_register_timeout_seconds": "120",
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S),  # Ray's own 3 s are too few to save a run
    }
    found: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in plain.items()]
    for entry in deployment.secret_env:
        variable, _, place = entry.partition("=")
        secret, _, key = place.partition("/")
        found.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return found
