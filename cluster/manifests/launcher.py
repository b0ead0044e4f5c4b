"""Configurations of Ray's own cluster launcher (`ray up`) for AWS and GCP, from the same description."""

from __future__ import annotations

import math
from typing import Any

from cluster.jobs import STOP_WAIT_S
from cluster.manifests.deployment import Deployment, Pool, pieces

TOKEN = "~/.ray/auth_token"
START = (
    f"ulimit -n 65536; RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_JOB_STOP_WAIT_TIME_S={STOP_WAIT_S} ray start"
)
HEAD_AWS, HEAD_GCP = "m7i.xlarge", "n2-standard-4"
IMAGE_GCP = "projects/deeplearning-platform-release/global/images/family/common-cu129-ubuntu-2204-nvidia-570"


def aws(deployment: Deployment) -> dict[str, Any]:
    """Instances of EC2; those of spot pools are asked for as spot instances. Credentials come from the environment."""
    # A group that Ray makes by itself lets SSH in from everywhere, whatever rules it is given beside that one.
    reached = {"SecurityGroupIds": [deployment.aws_security_group]}

    def node(pool: Pool) -> dict[str, Any]:
        spot = {"InstanceMarketOptions": {"MarketType": "spot"}} if pool.spot else {}
        return {"InstanceType": pool.aws_type, **reached, **_aws_disk(), **spot}

    provider = {
        "type": "aws",
        "region": deployment.aws_region,
        "cache_stopped_nodes": False,
        "use_internal_ips": True,
    }
    types = {
        "head": {
            "resources": {"CPU": 0},
            "min_workers": 0,
            "max_workers": 0,
            "node_config": {"InstanceType": HEAD_AWS, **reached, **_aws_disk()},
        },
        **{pool.name: _type(pool, node(pool)) for pool in deployment.pools},
    }
    return _launched(deployment, provider, types, "ubuntu")


def gcp(deployment: Deployment) -> dict[str, Any]:
    """Instances of Compute Engine; those of spot pools are spot VMs."""

    def node(pool: Pool) -> dict[str, Any]:
        scheduling: dict[str, Any] = {"onHostMaintenance": "TERMINATE"} if pool.gpu else {}
        if pool.spot:
            scheduling |= {
                "provisioningModel": "SPOT",
                "instanceTerminationAction": "DELETE",
                "automaticRestart": False,
            }
        found: dict[str, Any] = {"machineType": pool.gcp_type, "disks": _gcp_disks()}
        if pool.gcp_gpu and pool.gpu:
            zone = f"projects/{deployment.gcp_project}/zones/{deployment.gcp_zone}"
            kind = f"{zone}/acceleratorTypes/{pool.gcp_gpu}"
            found["guestAccelerators"] = [{"acceleratorType": kind, "acceleratorCount": pool.gpu}]
        return {**found, **({"scheduling": scheduling} if scheduling else {})}

    provider = {
        "type": "gcp",
        "region": deployment.gcp_region,
        "availability_zone": deployment.gcp_zone,
        "project_id": deployment.gcp_project,
        "use_internal_ips": True,
    }
    types = {
        "head": {
            "resources": {"CPU": 0},
            "min_workers": 0,
            "max_workers": 0,
            "node_config": {"machineType": HEAD_GCP, "disks": _gcp_disks()},
        },
        **{pool.name: _type(pool, node(pool)) for pool in deployment.pools},
    }
    return _launched(deployment, provider, types, "ubuntu")


def _launched(deployment: Deployment, provider: dict[str, Any], types: dict[str, Any], user: str) -> dict[str, Any]:
    """What the clouds have in common: the image in Docker, the token, and how Ray starts."""
    variables = [entry.partition("=")[0] for entry in deployment.secret_env]
    return {
        "cluster_name": deployment.name,
        "max_workers": sum(pool.max_replicas for pool in deployment.pools),
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": math.ceil(deployment.idle_s / 60),
        "provider": provider,
        "auth": {"ssh_user": user},
        "docker": {
            "image": deployment.image,
            "container_name": "guerdon",
            "pull_before_run": True,
            # Their values are those of the shell on each machine; here are only the names.
            "run_options": ["--ulimit nofile=65536:65536", "--shm-size=4g", *(f"--env {name}" for name in variables)],
        },
        "available_node_types": types,
        "head_node_type": "head",
        # Made beforehand by `ray get-auth-token --generate`; it goes by SSH, and into no file of these.
        "file_mounts": {TOKEN: TOKEN},
        "initialization_commands": [],
        "setup_commands": [],
        "head_start_ray_commands": [
            "ray stop",
            f"{START} --head --port=6379 --dashboard-host=127.0.0.1 --metrics-export-port=8080 "
            "--autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": [
            "ray stop",
            f"{START} --address=$RAY_HEAD_IP:6379 --metrics-export-port=8080",
        ],
    }


def submission(deployment: Deployment) -> str:
    """The command that trains on a launched cluster; the tunnel of `ray dashboard` carries it."""
    return f"env RAY_AUTH_MODE=token ray job submit --address http://127.0.0.1:8265 -- {deployment.training}"


def _type(pool: Pool, node_config: dict[str, Any]) -> dict[str, Any]:
    resources = {"CPU": max(1, int(pieces(pool.cpu))), **({"GPU": pool.gpu} if pool.gpu else {})}
    return {
        "resources": resources,
        "min_workers": pool.min_replicas,
        "max_workers": pool.max_replicas,
        "node_config": node_config,
    }


def _aws_disk() -> dict[str, Any]:
    disk = {"VolumeSize": 150, "VolumeType": "gp3", "Encrypted": True}
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": disk}]}


def _gcp_disks() -> list[dict[str, Any]]:
    return [
        {
            "boot": True,
            "autoDelete": True,
            "type": "PERSISTENT",
            "initializeParams": {"diskSizeGb": 150, "sourceImage": IMAGE_GCP},
        }
    ]
