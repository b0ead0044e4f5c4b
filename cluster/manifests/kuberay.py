"""RayCluster, RayJob and RayService for KubeRay 1.7, with autoscaler v2 and Ray's token."""

from __future__ import annotations

from typing import Any

import yaml

from cluster.manifests.deployment import Deployment
from cluster.manifests.pods import SECRET_TOKEN, head, labels, security, workers

API = "ray.io/v1"


def cluster_spec(deployment: Deployment) -> dict[str, Any]:
    """What a cluster is made of; the same for all three kinds."""
    token: dict[str, Any] = {"mode": "token"}
    if deployment.token_secret:
        token["secretName"] = deployment.token_secret
    spec: dict[str, Any] = {
        "rayVersion": deployment.ray_version,
        "authOptions": token,
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "upscalingMode": "Default",
            "idleTimeoutSeconds": deployment.idle_s,
            "imagePullPolicy": "IfNotPresent",
            "securityContext": security(),
            "resources": {
                "requests": {"cpu": "500m", "memory": "512Mi"},
                "limits": {"cpu": "500m", "memory": "512Mi"},
            },
        },
        "headGroupSpec": head(deployment),
        "workerGroupSpecs": [workers(deployment, pool) for pool in deployment.pools],
    }
    if deployment.redis:
        password = {"secretKeyRef": {"name": deployment.redis_secret, "key": "password"}}
        spec["gcsFaultToleranceOptions"] = {
            "redisAddress": f"redis://{deployment.redis}",
            "redisPassword": {"valueFrom": password},
        }
    return spec


def ray_cluster(deployment: Deployment) -> dict[str, Any]:
    """A cluster that stays, to submit jobs to."""
    return {**_head("RayCluster", deployment, "cluster"), "spec": cluster_spec(deployment)}


def ray_job(deployment: Deployment) -> dict[str, Any]:
    """A run on a cluster of its own. A submission that failed is made again, and goes on from the run's checkpoint."""
    spec: dict[str, Any] = {
        "entrypoint": deployment.training,
        "submissionMode": "K8sJobMode",
        "backoffLimit": deployment.retries,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": deployment.ttl_s,
        "rayClusterSpec": cluster_spec(deployment),
    }
    if deployment.deadline_s is not None:
        spec["activeDeadlineSeconds"] = deployment.deadline_s
    return {**_head("RayJob", deployment, "train"), "spec": spec}


def ray_service(deployment: Deployment) -> dict[str, Any]:
    """The deployment's reward over HTTP, on as many replicas as there is work for."""
    application = {
        "name": "rewards",
        "route_prefix": "/",
        "import_path": "pipelines.service.reward_application:application",
        "args": {"target": deployment.reward},
        "deployments": [
            {
                "name": "Rewards",
                "max_ongoing_requests": 64,
                "ray_actor_options": {"num_cpus": 1},
                "autoscaling_config": {"min_replicas": 2, "max_replicas": 8, "target_ongoing_requests": 16},
            }
        ],
    }
    serve = {"proxy_location": "EveryNode", "http_options": {"port": 8000}, "applications": [application]}
    spec = {
        "serveConfigV2": yaml.safe_dump(serve, sort_keys=False),
        "rayClusterConfig": cluster_spec(_with_token(deployment)),
    }
    return {**_head("RayService", deployment, "rewards"), "spec": spec}


def _with_token(deployment: Deployment) -> Deployment:
    """The deployment whose containers know the token that callers of the reward must bear."""
    if any(entry.startswith(f"{SECRET_TOKEN}=") for entry in deployment.secret_env):
        return deployment
    entry = f"{SECRET_TOKEN}={deployment.name}-reward-token/token"
    return deployment.model_copy(update={"secret_env": (*deployment.secret_env, entry)})


def _head(kind: str, deployment: Deployment, role: str) -> dict[str, Any]:
    metadata = {
        "name": f"{deployment.name}-{role}",
        "namespace": deployment.namespace,
        "labels": labels(deployment),
    }
    return {"apiVersion": API, "kind": kind, "metadata": metadata}
