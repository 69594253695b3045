# SPDX-License-Identifier: Apache-2.0
"""Autoscaling of the Ray Serve application on the engine's own signal.

The saturation ratio (docs/metrics.md) is the busy share of a replica's compute threads plus the seconds of
work that wait: 1.0 is at capacity, whatever the model, the machine and the number of threads. Ray's default
signal counts ongoing requests, whose cost differs by two orders of magnitude between one word and 128 texts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext

TARGET = 0.7


def replicas(current: int, saturations: list[float], target: float) -> int:
    """How many replicas bring the mean saturation to `target`: a proportional rule, like Kubernetes'
    HorizontalPodAutoscaler, with its tolerance of a tenth so that it does not flap."""
    if current == 0 or not saturations:
        return max(current, 1)
    ratio = sum(saturations) / len(saturations) / target
    return current if abs(ratio - 1.0) <= 0.1 else max(1, math.ceil(len(saturations) * ratio))


class Saturation:
    """`policy_function: inferd.policy:Saturation`, with `policy_kwargs: {target: 0.7}`."""

    def __init__(self, target: float = TARGET):
        if not 0.0 < target <= 1.0:
            raise ValueError(f"target is {target}; it must be above 0 and at most 1")
        self.target = target

    def __call__(self, ctx: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        values = list((ctx.aggregated_metrics or {}).get("inferd_saturation_ratio", {}).values())
        want = replicas(ctx.current_num_replicas, values, self.target)
        return max(ctx.capacity_adjusted_min_replicas, min(ctx.capacity_adjusted_max_replicas, want)), {}
