"""`GuerdonModule`: the policy network of Guerdon as an RLModule, so that both engines train the same one."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import TARGET_NETWORK_ACTION_DIST_INPUTS, TargetNetworkAPI, ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule

from actors.policy import Config, RecurrentPolicy
from envs.specs import EnvSpec


class GuerdonModule(TorchRLModule, ValueFunctionAPI, TargetNetworkAPI):
    """A policy without memory; its first weights are a function of the seed alone, the same as in Guerdon's engine.

    `model_config`: `spec` (an `EnvSpec` as JSON), `policy` (settings of the network), `seed`.
    """

    def setup(self) -> None:
        """Build the network."""
        spec = EnvSpec.from_json(self.model_config["spec"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.model_config["seed"])
            self.policy = RecurrentPolicy(spec, Config.model_validate(self.model_config["policy"]))

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        features = self.policy.encoder(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: self.policy.policy_head(features), Columns.EMBEDDINGS: features}

    def _forward_exploration(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        features = self.policy.encoder(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: self.policy.policy_head(features)}  # embeddings would travel with it

    _forward_inference = _forward_exploration

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Any:
        """Values [S]."""
        features = self.policy.encoder(batch[Columns.OBS]) if embeddings is None else embeddings
        return self.policy.value_head(features).squeeze(-1)

    def make_target_networks(self) -> None:
        """A copy of the network, for APPO."""
        self._target = make_target_network(self.policy)

    def get_target_network_pairs(self) -> list[tuple[Any, Any]]:
        """The network and its copy."""
        return [(self.policy, self._target)]

    def forward_target(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        """What the copy would do."""
        logits = self._target.policy_head(self._target.encoder(batch[Columns.OBS]))
        return {TARGET_NETWORK_ACTION_DIST_INPUTS: logits}
