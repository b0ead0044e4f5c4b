"""The RayService's application answers like `guerdon serve-rewards`, and nobody without the token."""

from __future__ import annotations

import httpx
import pytest
import yaml
from ray import serve

from benchmarks.apparatus.free_port import free_port
from cluster.manifests.kuberay import ray_service
from cluster.session import Config, ray_session
from pipelines.manifests import deployment_of
from pipelines.service.reward_application import application

pytestmark = pytest.mark.cluster


def test_what_the_rayservice_names_serves_verdicts(monkeypatch):
    described = yaml.safe_load(ray_service(deployment_of({}))["spec"]["serveConfigV2"])["applications"][0]
    assert described["import_path"] == "pipelines.service.reward_application:application"
    monkeypatch.setenv("GUERDON_REWARD_TOKEN", "a-token-for-this-test")
    port = free_port()
    with ray_session(Config(object_store_mb=100), 4):
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            app = application(described["args"])
            assert app._bound_deployment.name == described["deployments"][0]["name"]
            serve.run(app, name="rewards", route_prefix="/")
            url, body = f"http://127.0.0.1:{port}/v1/score", {"items": [{"text": "You kill the newt!"}]}
            assert httpx.post(url, json=body, timeout=300).status_code == 401
            bearer = {"Authorization": "Bearer a-token-for-this-test"}
            reply = httpx.post(url, json=body, headers=bearer, timeout=300)
            assert reply.status_code == 200, reply.text
            assert reply.json()["verdicts"][0]["status"] == "ok"
        finally:
            serve.shutdown()
