"""Who may reach a cluster, what it may reach, where its runs are kept, and from where its metrics are read."""

from __future__ import annotations

from typing import Any

from cluster.manifests.deployment import Deployment
from cluster.manifests.pods import PORTS, labels

DNS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]


def namespace(deployment: Deployment) -> dict[str, Any]:
    """The namespace, in which pods that want more than they need are refused."""
    # "restricted" would refuse the pod with which KubeRay submits a job; that one is not made here.
    level = {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": deployment.namespace, "labels": level}}


def runs_claim(deployment: Deployment) -> dict[str, Any]:
    """The volume of the runs, written by the head and by replay shards on any node."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": deployment.storage}},
    }
    if deployment.storage_class:
        spec["storageClassName"] = deployment.storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _named(deployment, "runs"), "spec": spec}


def network_policy(deployment: Deployment) -> dict[str, Any]:
    """Pods of a deployment talk to each other; Prometheus may read; out go only DNS and the ports that are named.

    Whoever is in the namespace, or in one of `callers`, may call the reward that is served: it asks for its token.
    """
    own = {"podSelector": {"matchLabels": labels(deployment)}}
    prometheus = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": deployment.prometheus_namespace}}
    }
    operator = {  # its name differs between Helm and kustomize, its component does not
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}},
    }
    # The pod of the Job that submits: as KubeRay labels it, and as Kubernetes does, whatever version of KubeRay it is.
    submitters = [
        {"podSelector": {"matchLabels": {"ray.io/originated-from-crd": "RayJob"}}},
        {"podSelector": {"matchLabels": {"batch.kubernetes.io/job-name": f"{deployment.name}-train"}}},
    ]
    callers = [
        {"podSelector": {}},
        *({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in deployment.callers),
    ]
    serve = [{"port": PORTS["serve"], "protocol": "TCP"}]
    dashboard = [{"port": PORTS["dashboard"], "protocol": "TCP"}, *serve]
    outside: list[dict[str, Any]] = [{"port": port, "protocol": "TCP"} for port in deployment.egress_ports]
    egress: list[dict[str, Any]] = [{"to": [own]}, {"ports": DNS}]
    if outside:  # a rule without ports would be one for all ports
        egress.append({"ports": outside})
    if deployment.redis:
        egress.append({"ports": [{"port": int(deployment.redis.rpartition(":")[2]), "protocol": "TCP"}]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _named(deployment, "network"),
        "spec": {
            "podSelector": {"matchLabels": labels(deployment)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [own]},
                {"from": [operator, *submitters], "ports": dashboard},
                {"from": callers, "ports": serve},
                {"from": [prometheus], "ports": [{"port": PORTS["metrics"], "protocol": "TCP"}]},
            ],
            "egress": egress,
        },
    }


def pod_monitor(deployment: Deployment) -> dict[str, Any]:
    """Tells the Prometheus Operator to read the metrics of every Ray pod; those of Guerdon are among Ray's."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": _named(deployment, "metrics"),
        "spec": {
            "selector": {"matchLabels": labels(deployment)},
            "podMetricsEndpoints": [{"port": "metrics", "interval": "15s"}],
        },
    }


def alert_rules(deployment: Deployment, alerts: dict[str, Any]) -> dict[str, Any]:
    """The alerts, for the Prometheus Operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": _named(deployment, "alerts"),
        "spec": alerts,
    }


def _named(deployment: Deployment, what: str) -> dict[str, Any]:
    return {
        "name": f"{deployment.name}-{what}",
        "namespace": deployment.namespace,
        "labels": labels(deployment),
    }
