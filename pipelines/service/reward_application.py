"""Rewards over HTTP on Ray Serve: the service of `guerdon serve-rewards`, on as many replicas as there is work for.

`guerdon manifests` names it in the RayService. The token comes from GUERDON_REWARD_TOKEN; TLS is the ingress's.
"""

from __future__ import annotations

import os
from typing import Any

from ray import serve

from pipelines.errors import UserError
from pipelines.service.reward_http import App, make_app
from pipelines.service.reward_http import Config as GateConfig
from pipelines.service.serve_rewards import TOKEN_VARIABLE, Config, find_token, service_of
from pipelines.service.targets import find_target


def application(args: dict[str, Any]) -> serve.Application:
    """The application that Serve deploys.

    Args:
        args: `target`, and keys of `guerdon serve-rewards`.
    """

    def build() -> App:  # a function: Serve takes anything else for the app itself
        return _app(dict(args))

    return serve.deployment(name="Rewards")(serve.ingress(build)(_Rewards)).bind()


class _Rewards:
    """A replica."""


def _app(args: dict[str, Any]) -> App:
    target = str(args.pop("target"))
    config = Config.model_validate(args)
    token, made_up = find_token(config, os.environ)
    if made_up:
        raise UserError(f"rewards on a cluster want a token that callers know: set {TOKEN_VARIABLE}")
    return make_app(
        service_of(find_target(target, config), config), token, GateConfig(max_body_bytes=config.max_body_bytes)
    )
