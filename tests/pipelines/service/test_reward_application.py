"""The RayService's application answers like `guerdon serve-rewards`, and nobody without the token."""

from __future__ import annotations

import time

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


def asked(url, body, headers=None):
    """The application's reply; Serve's door hears of it a moment after it runs."""
    deadline = time.monotonic() + 300
    while (reply := httpx.post(url, json=body, headers=headers, timeout=300)).status_code in (404, 503):
        assert time.monotonic() < deadline, reply.text
        time.sleep(0.2)
    return reply


def test_what_the_rayservice_names_serves_verdicts(monkeypatch):
    described = yaml.safe_load(ray_service(deployment_of({}))["spec"]["serveConfigV2"])["applications"][0]
    assert described["import_path"] == "pipelines.service.reward_application:application"
    monkeypatch.setenv("GUERDON_REWARD_TOKEN", "a-token-for-this-test")
    with ray_session(Config(object_store_mb=100), 4):
        port = free_port()
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            app = application(described["args"])
            assert app._bound_deployment.name == described["deployments"][0]["name"]
            serve.run(app, name="rewards", route_prefix="/")
            url, body = f"http://127.0.0.1:{port}/v1/score", {"items": [{"text": "You kill the newt!"}]}
            assert asked(url, body).status_code == 401
            reply = asked(url, body, {"Authorization": "Bearer a-token-for-this-test"})
            assert reply.status_code == 200, reply.text
            assert reply.json()["verdicts"][0]["status"] == "ok"
        finally:
            serve.shutdown()
