"""A scorer over several processes: the same weights on each (DDP), or each holding a part of them (FSDP2).

Both are `wrap` arguments of a learner, with torch.distributed initialised and `World.joined()` beside them:

    learner = LanguageLearner(model, config, world=World.joined(), wrap=replicated)
    learner = LanguageLearner(model, config, world=World.joined(), wrap=partial(sharded, mesh=mesh))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def replicated(scorer: nn.Module) -> nn.Module:
    """The scorer in DDP: gradients are averaged while they are computed."""
    device = next(scorer.parameters()).device
    return DistributedDataParallel(scorer, device_ids=[device.index] if device.type == "cuda" else None)


def sharded(scorer: nn.Module, mesh: DeviceMesh, dtype: torch.dtype | None = None) -> nn.Module:
    """The scorer with its weights spread over a mesh, layer by layer, in place (FSDP2).

    Args:
        scorer: around a model of Hugging Face's, whose repeated layers are gathered one at a time.
        mesh: of one dimension, or two for hybrid sharding.
        dtype: what weights are gathered in; gradients are summed in float32. None: their own.
    """
    # Half a second, which every process that knows learners would wait for.
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=None if dtype is None else torch.float32)
    for layer in repeated_layers(scorer):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    return cast(nn.Module, fully_shard(scorer, mesh=mesh, mp_policy=policy))


def repeated_layers(module: nn.Module) -> Iterator[nn.Module]:
    """The layers that a model says must stay whole: its transformer blocks."""
    names = {name for part in module.modules() for name in (cast(Any, getattr(part, "_no_split_modules", None)) or ())}
    return (layer for layer in list(module.modules()) if type(layer).__name__ in names)
