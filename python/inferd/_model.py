# SPDX-License-Identifier: Apache-2.0
"""The Model with its asynchronous calls.

A compute thread wakes the event loop through an eventfd that the loop watches; one
`_engine.Completions` a loop. After fork() the child's loops get their own.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, overload

from . import _engine

_channels: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _engine.Completions] = weakref.WeakKeyDictionary()
os.register_at_fork(after_in_child=_channels.clear)


def _channel(loop: asyncio.AbstractEventLoop) -> _engine.Completions:
    channel = _channels.get(loop)
    if channel is None:
        channel = _channels[loop] = _engine.Completions()
        loop.add_reader(channel.fileno(), channel.drain)
    return channel


class Model(_engine.Model):
    """A loaded model with compute threads behind it.

    path: a Hugging Face model directory. dtype: "fp32", "bf16", "int8", or "auto" (int8). tier: CPU
    instructions; None is the best of this CPU. threads: that compute; 0 is every processor this
    process may use. The other limits are those of `inferd serve`, 0 being the default.

    Any thread may call it. The compute threads start with the first call, or with start(); a child
    after fork() shares the weights and starts its own. close(), or the end of a `with` block,
    answers what is under way and ends them.
    """

    async def aclassify(self, texts: Sequence[str], *, top_k: int | None = None, all_scores: bool = False,
                        raw_scores: bool = False, timeout: float | None = None) -> list[_engine.Result]:
        """Classify up to max_inputs texts. Raises OverloadedError at once when the queue is full, and
        DeadlineError when `timeout` seconds pass. Cancelling the task drops what is not begun.

        top_k, all_scores, raw_scores: as for classify(); Result.scores has them."""
        return await self._submit(texts, timeout, top_k, all_scores, raw_scores)

    @overload
    async def aclassify_json(self, body: bytes, *, times: Literal[False] = False,
                             timeout: float | None = None) -> bytes: ...
    @overload
    async def aclassify_json(self, body: bytes, *, times: Literal[True],
                             timeout: float | None = None) -> tuple[bytes, _engine.Times]: ...
    async def aclassify_json(self, body: bytes, *, times: bool = False,
                             timeout: float | None = None) -> bytes | tuple[bytes, _engine.Times]:
        """classify_json() without blocking; a body's own `timeout_ms` counts, too. times: say where the
        time went."""
        return await self._submit(body, timeout, None, False, False, times)

    async def _submit(self, texts_or_body: Any, timeout: float | None, *how: Any) -> Any:
        loop = asyncio.get_running_loop()
        if not self.started:
            await loop.run_in_executor(None, self.start)
        channel, future = _channel(loop), loop.create_future()
        channel.submit(self, texts_or_body, timeout, future, *how)
        try:
            return await future
        except asyncio.CancelledError:
            channel.cancel(future)
            raise

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
