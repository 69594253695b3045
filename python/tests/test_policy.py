# SPDX-License-Identifier: Apache-2.0
"""The autoscaling rule, without Ray."""

from __future__ import annotations

import pytest
from inferd import policy


@pytest.mark.parametrize(("current", "saturations", "want"), [
    (1, [0.0], 1),          # never below one
    (1, [0.35], 1),
    (1, [0.7], 1),          # at the target
    (1, [0.76], 1),         # within a tenth of it
    (1, [0.78], 2),
    (1, [1.0], 2),
    (1, [3.0], 5),          # a backlog asks for what it needs at once
    (2, [0.7, 0.7], 2),
    (2, [1.0, 1.0], 3),
    (4, [0.1, 0.1, 0.1, 0.1], 1),
    (4, [0.5, 0.5, 0.5, 0.5], 3),
    (4, [0.65] * 4, 4),     # no flapping
    (3, [1.4, 0.0, 0.7], 3),  # the mean counts
    (3, [], 3),             # nothing known: stay
    (0, [], 1),
])
def test_replicas(current, saturations, want):
    assert policy.replicas(current, saturations, 0.7) == want


class Context:
    def __init__(self, values, least=1, most=4):
        self.aggregated_metrics = {"inferd_saturation_ratio": dict(enumerate(values))}
        self.current_num_replicas = len(values)
        self.capacity_adjusted_min_replicas, self.capacity_adjusted_max_replicas = least, most


def test_bounds():
    rule = policy.Saturation(target=0.7)
    assert rule(Context([9.0]))[0] == 4
    assert rule(Context([0.0, 0.0, 0.0], least=2))[0] == 2
    context = Context([1.0])
    context.aggregated_metrics = None
    assert rule(context)[0] == 1
    for bad in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="target"):
            policy.Saturation(target=bad)
