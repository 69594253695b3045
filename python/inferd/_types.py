# SPDX-License-Identifier: Apache-2.0
"""The dicts that a Model gives."""

from typing import TypedDict


class Info(TypedDict):
    """What a model is: `Model.info`."""

    name: str
    architecture: str
    problem_type: str
    dtype: str
    tier: str
    layers: int
    hidden_size: int
    heads: int
    intermediate_size: int
    vocab_size: int
    labels: tuple[str, ...]
    max_length: int
    max_length_model: int
    parameters: int
    weight_bytes: int


class Stats(TypedDict):
    """Totals since start() and what waits now: `Model.stats()`. Seconds, texts, tokens, requests."""

    threads: int
    batches: int
    texts: int
    tokens: int
    refused: int
    expired: int
    cancelled: int
    queue_texts: int
    queue_tokens: int
    busy_seconds: float
    estimated_wait_seconds: float
    saturation_ratio: float
    predictions: tuple[int, ...]  # results given, by label, in the order of Model.labels
    truncated: int  # texts of them that were cut at max_length
