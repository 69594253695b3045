# SPDX-License-Identifier: Apache-2.0
"""Asynchronous calls: completion through an eventfd, cancellation, many loops, no thread per call."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading

import inferd
import pytest
from conftest import TINY


def os_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_answers_are_those_of_classify(model, sst2):
    async def ask() -> None:
        many = await asyncio.gather(*(model.aclassify([t]) for t in sst2[:200]))
        assert [r for (r,) in many] == model.classify(sst2[:200])
        assert await model.aclassify(sst2[:128]) == model.classify(sst2[:128])
        body = json.dumps({"inputs": sst2[:3]}).encode()
        assert await model.aclassify_json(body) == model.classify_json(body)

    asyncio.run(ask())


def test_no_thread_per_call(tiny):
    tiny.start()

    async def ask() -> int:
        await tiny.aclassify(["a"])
        before = os_threads()
        calls = [asyncio.ensure_future(tiny.aclassify([f"text {i}"])) for i in range(500)]
        await asyncio.sleep(0)
        peak = os_threads()
        await asyncio.gather(*calls)
        assert peak == os_threads() == before
        return len({c.result()[0].confidence for c in calls})

    assert asyncio.run(ask()) > 1


def test_the_loop_goes_on_meanwhile():
    """A long request does not stop the loop's other work."""
    with inferd.Model(TINY, threads=1, max_batch_size=1) as m:
        async def ask() -> int:
            ticks = 0
            call = asyncio.ensure_future(m.aclassify(["good " * 60] * 128))
            while not call.done():
                ticks += 1
                await asyncio.sleep(0)
            assert len(call.result()) == 128
            return ticks

        assert asyncio.run(ask()) > 20


def test_refusals_are_raised(tiny):
    async def ask() -> None:
        with pytest.raises(inferd.InvalidJsonError):
            await tiny.aclassify_json(b"{")
        with pytest.raises(inferd.TooManyInputsError):
            await tiny.aclassify(["a"] * 129)
        with pytest.raises(inferd.InvalidArgumentError):
            await tiny.aclassify([])
        with pytest.raises(TypeError):
            await tiny.aclassify("a")
        with pytest.raises(inferd.InvalidUtf8Error):
            await tiny.aclassify(["\udcff"])
        assert await tiny.aclassify(["a"] * 128)

    asyncio.run(ask())


def test_overload_and_deadline():
    with inferd.Model(TINY, threads=1, max_inputs=128, max_queue=256, max_batch_size=1) as m:
        async def ask() -> tuple[int, int, int]:
            texts = ["good film " * 25] * 128
            calls = [asyncio.ensure_future(m.aclassify(texts, timeout=0.02)) for _ in range(40)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            refused = [o for o in outcomes if isinstance(o, inferd.OverloadedError)]
            late = [o for o in outcomes if isinstance(o, inferd.DeadlineError)]
            assert all(o.retry_after is not None and o.retry_after > 0 for o in refused)
            return len(refused), len(late), sum(isinstance(o, list) for o in outcomes)

        refused, late, good = asyncio.run(ask())
        assert refused + late + good == 40
        assert refused > 0


def test_a_cancelled_call_is_dropped():
    with inferd.Model(TINY, threads=1, max_batch_size=1) as m:
        async def ask() -> None:
            texts = ["good film " * 25] * 128
            running = asyncio.ensure_future(m.aclassify(texts))
            waiting = [asyncio.ensure_future(m.aclassify(texts)) for _ in range(5)]
            await asyncio.sleep(0)
            for call in waiting:
                call.cancel()
            for call in waiting:
                with pytest.raises(asyncio.CancelledError):
                    await call
            assert len(await running) == 128
            with pytest.raises((TimeoutError, inferd.Error)):
                await asyncio.wait_for(m.aclassify(texts), 0.0001)
            assert await m.aclassify(["a"])  # behind all of them

        asyncio.run(ask())
        # the work of some of the 6 requests that were cancelled was never done
        assert m.stats()["cancelled"] >= 1
        assert m.stats()["texts"] < 7 * 128


def test_many_loops():
    """A loop each time, some left with calls under way: no file, no memory of them stays."""
    tiny = inferd.Model(TINY, threads=1, max_queue=100_000, max_queue_tokens=10_000_000)

    async def ask() -> None:
        await tiny.aclassify(["a"])

    async def leave() -> None:
        calls = [asyncio.ensure_future(tiny.aclassify(["good film " * 20] * 100)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(c.done() for c in calls)

    asyncio.run(ask())
    gc.collect()
    before = open_files()
    for _ in range(20):
        asyncio.run(ask())
        asyncio.run(leave())
    gc.collect()
    assert open_files() <= before + 1
    assert len(tiny.classify(["a"])) == 1


def test_loops_in_threads(tiny):
    results: list[int] = []

    async def ask() -> None:
        for i in range(50):
            results.append(len(await tiny.aclassify([f"text {i}"] * 3)))

    threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [3] * 200


def test_the_first_call_starts_the_threads():
    m = inferd.Model(TINY, threads=2)
    assert not m.started

    async def ask() -> None:
        calls = [asyncio.ensure_future(m.aclassify(["a"])) for _ in range(4)]
        await asyncio.gather(*calls)

    asyncio.run(ask())
    assert m.started
    m.close()
