# SPDX-License-Identifier: Apache-2.0
"""Models in a replica: the configuration of one, a loaded one with those who use it, and the named ones.

Everything here belongs to the replica's event loop unless it says otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from ray import serve

from . import _engine
from ._model import Model

_log = logging.getLogger("ray.serve")

ModelId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class Source(BaseModel):
    """Which model, and how it computes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str  # a Hugging Face model directory on every node
    dtype: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    max_length: int = Field(0, ge=0)  # tokens a text; 0: min(128, the model's limit)


class ModelConfig(Source):
    """What `user_config` is: the model that serves, and others that requests may ask for by name."""

    models: dict[ModelId, Source] = Field(default_factory=dict)

    def source(self) -> Source:
        return Source(**self.model_dump(exclude={"models"}))


class Served:
    """A model that answers. Whoever uses it says so: it is closed when the last one is done."""

    def __init__(self, model: Model, digest: str, source: Source, load_seconds: float):
        self.model, self.digest, self.source, self.load_seconds = model, digest, source, load_seconds
        self.counted: dict[str, Any] = {}  # what the metrics have been given of its totals
        self.progress = (-1, False)  # batches, and whether texts waited, at the last health check
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def infer(self, body: bytes, timeout_s: float) -> tuple[bytes, _engine.Times]:
        self._users += 1
        if self._users == 1:
            self._idle.clear()
        try:
            return await self.model.aclassify_json(body, times=True, timeout=timeout_s)
        finally:
            self._users -= 1
            if self._users == 0:
                self._idle.set()

    async def retire(self, hand_over: Callable[[Served], None]) -> None:
        """Wait for its users, hand its last figures over, and free it. Nobody may begin to use it any more."""
        await self._idle.wait()
        if not self.model.closed:
            hand_over(self)
            await asyncio.get_running_loop().run_in_executor(None, self.model.close)

    def stuck(self) -> int:
        """Texts that wait although no batch has ended since the last call: a compute thread hangs."""
        stats = self.model.stats()
        before, self.progress = self.progress, (stats["batches"], stats["queue_texts"] > 0)
        return stats["queue_texts"] if before == (stats["batches"], True) else 0


class _Slot:
    """A named model's place among those that serve.multiplexed keeps, which calls __del__ when it is the least
    recently used and another needs the place."""

    def __init__(self, served: Served, hand_over: Callable[[Served], None]):
        self.served: Served | None = served
        self._hand_over = hand_over
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    async def unload(self) -> None:
        old, self.served = self.served, None
        if old:
            await old.retire(self._hand_over)

    def __del__(self) -> None:
        """On a thread of its own, and once more when Python frees the object."""
        if self.served is not None and threading.get_ident() != self._thread and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self.unload(), self._loop).result()


class NamedModels:
    """Models beside the one that serves by default. A request names one; its first request loads it, and at
    most `most` are in memory: the least recently used makes room, before the new one is read."""

    def __init__(self, most: int, load: Callable[[Source], Awaitable[Served]], hand_over: Callable[[Served], None]):
        self._load, self._hand_over = load, hand_over
        self._catalog: dict[str, Source] = {}
        self._slots: dict[str, _Slot] = {}

        async def load_slot(model_id: str) -> _Slot:
            slot = _Slot(await load(self._catalog[model_id]), hand_over)
            self._slots[model_id] = slot
            return slot

        self._slot = serve.multiplexed(max_num_models_per_replica=most)(load_slot)
        self._refill = asyncio.Lock()

    async def get(self, model_id: str) -> Served:
        """NotFoundError if there is none of that name. Use it before anything else is awaited."""
        if model_id not in self._catalog:
            raise _engine.NotFoundError(f"there is no model {model_id[:128]!r} here; GET /info lists those there are")
        slot: _Slot = await self._slot(model_id)
        while slot.served is None:  # the catalog lost it and has it again, or changed while it was loaded
            async with self._refill:
                if slot.served is None:
                    if model_id not in self._catalog:
                        return await self.get(model_id)
                    slot.served = await self._load(self._catalog[model_id])
        return slot.served

    async def reconfigure(self, catalog: dict[str, Source]) -> None:
        """What changed is loaded anew and swapped, what is gone is unloaded; the rest is left. Raises what a
        load raises, with everything as it was."""
        loaded = {i: s for i, s in self._slots.items() if s.served is not None}
        changed = {i: s for i, s in loaded.items() if i in catalog and catalog[i] != s.served.source}  # type: ignore[union-attr]
        fresh = {i: await self._load(catalog[i]) for i in changed}
        self._catalog = dict(catalog)
        for model_id, slot in loaded.items():
            if model_id in fresh and slot.served is not None:
                old, slot.served = slot.served, fresh.pop(model_id)
                await old.retire(self._hand_over)
            elif model_id not in catalog:
                await slot.unload()
        for unused in fresh.values():  # its slot was given up meanwhile
            await unused.retire(self._hand_over)

    def loaded(self) -> list[Served]:
        return [s.served for s in self._slots.values() if s.served is not None]

    def info(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for model_id, source in self._catalog.items():
            slot = self._slots.get(model_id)
            served = slot.served if slot else None
            found[model_id] = {"model": source.model, "loaded": served is not None,
                               "digest": served.digest if served else None}
        return found

    async def close(self) -> None:
        self._catalog = {}
        for slot in list(self._slots.values()):
            await slot.unload()
