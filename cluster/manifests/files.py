"""Every manifest of a deployment as a file: `kubectl apply -k DIR/kubernetes/job`, `ray up DIR/launcher/aws.yaml`.

```
DIR/
  Dockerfile, Dockerfile.dockerignore    the image
  kubernetes/base                        what every use needs: namespace, volume, network, metrics, alerts
  kubernetes/job, cluster, service       one use each: a run, a cluster that stays, rewards over HTTP
  launcher/                              for `ray up`: aws.yaml, gcp.yaml
  monitoring/                            dashboard and alerts for those without the Prometheus Operator
```
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from cluster.manifests import access, image, kuberay, launcher
from cluster.manifests.deployment import Deployment

USES = {"job": kuberay.ray_job, "cluster": kuberay.ray_cluster, "service": kuberay.ray_service}


def manifest_files(deployment: Deployment, alerts: dict[str, Any], dashboard: dict[str, Any]) -> dict[str, str]:
    """Texts by path.

    Args:
        deployment: what is described.
        alerts: rule groups, as Prometheus reads them.
        dashboard: for Grafana.
    """
    parts = {
        "namespace.yaml": access.namespace(deployment),
        "runs.yaml": access.runs_claim(deployment),
        "network.yaml": access.network_policy(deployment),
        "metrics.yaml": access.pod_monitor(deployment),
        "alerts.yaml": access.alert_rules(deployment, alerts),
    }
    found = {f"kubernetes/base/{name}": _yaml(part) for name, part in parts.items()}
    found["kubernetes/base/dashboard.json"] = json.dumps(dashboard, indent=1) + "\n"
    found["kubernetes/base/kustomization.yaml"] = _yaml(_base(deployment, list(parts)))
    for use, make in USES.items():
        found[f"kubernetes/{use}/ray.yaml"] = _yaml(make(deployment))
        found[f"kubernetes/{use}/kustomization.yaml"] = _yaml(_kustomization(["../base", "ray.yaml"]))
    found["launcher/aws.yaml"] = _yaml(launcher.aws(deployment))
    found["launcher/gcp.yaml"] = _yaml(launcher.gcp(deployment))
    found["launcher/submit.sh"] = f"#!/bin/sh\nexec {launcher.submission(deployment)}\n"
    found["monitoring/alerts.yaml"] = _yaml(alerts)
    found["monitoring/dashboard.json"] = found["kubernetes/base/dashboard.json"]
    found["Dockerfile"] = image.dockerfile(deployment)
    found["Dockerfile.dockerignore"] = image.dockerignore()
    found["deployment.yaml"] = _yaml(deployment.model_dump(mode="json"))
    return found


def _base(deployment: Deployment, resources: list[str]) -> dict[str, Any]:
    board = {
        "name": f"{deployment.name}-dashboard",
        "namespace": deployment.namespace,
        "files": ["guerdon.json=dashboard.json"],
        "options": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
    }
    return {**_kustomization(resources), "configMapGenerator": [board]}


def _kustomization(resources: list[str]) -> dict[str, Any]:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}


def _yaml(tree: dict[str, Any]) -> str:
    return yaml.safe_dump(tree, sort_keys=False, width=120)
