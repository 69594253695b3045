# SPDX-License-Identifier: Apache-2.0
"""Processes: fork and spawn, sub-interpreters, Ctrl-C, the end of a process, the time to a first answer."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys

import inferd
import pytest
import twins
from conftest import GOLDEN, MODEL, TINY, run_python

STARS = str(GOLDEN / "bert-cased-f16-5")

FORK = """
import asyncio, inferd, os, sys
m = inferd.Model(sys.argv[1], threads=2)
want = m.classify(["good film", "bad"])
loop_first = asyncio.run(m.aclassify(["good film"]))
child = os.fork()
if child == 0:
    started = m.started                       # the parent's threads are not ours
    same = m.classify(["good film", "bad"]) == want and asyncio.run(m.aclassify(["good film"])) == loop_first
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(9 if m.classify(["bad"]) == want[1:] else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1])
    m.close()
    os._exit(7 if same and not started and code == 9 else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert code == 7, code
assert m.classify(["good film", "bad"]) == want
m.close()
"""


def test_fork():
    run_python(FORK, TINY)


def test_a_child_that_uses_its_parents_threads_is_seen(tmp_path):
    """The control of test_fork: an extension that forgets whose threads they are does not pass it."""
    site = twins.build(tmp_path, "core.c", "return core->pid == getpid();", "return core->pid != 0;")
    p = subprocess.Popen([sys.executable, "-c", FORK, TINY], env=twins.environment(site), start_new_session=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert p.wait(10) != 0
    except subprocess.TimeoutExpired:
        pass  # the child waits for threads that are not there
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()


def test_fork_under_load():
    """A fork while other threads are inside calls; the child's first call must not hang."""
    run_python("""
import inferd, os, sys, threading
m = inferd.Model(sys.argv[1], threads=2)
want, stop = m.classify(["good"] * 300), threading.Event()
def work():
    while not stop.is_set():
        m.classify(["good"] * 300)
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        os._exit(7 if m.classify(["good"] * 300) == want else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 7, code
stop.set()
for t in threads: t.join()
""", TINY)


def classify_in_child(path: str) -> tuple[int, inferd.Result]:
    return os.getpid(), inferd.Model(path, threads=1).classify(["good film"])[0]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method, tiny):
    with multiprocessing.get_context(method).Pool(2) as pool:
        answers = pool.map(classify_in_child, [TINY, STARS] * 2)
    want = [m.classify(["good film"])[0] for m in (tiny, inferd.Model(STARS, threads=1))]
    assert [result for _, result in answers] == want * 2
    assert want[0] != want[1]  # control: an answer that is not the child's own model's would be seen
    assert os.getpid() not in {pid for pid, _ in answers}


SUBINTERPRETER = """
import inferd, sys
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
i = interpreters.create()
try:
    failed = interpreters.run_string(i, "import inferd")
except Exception as e:
    failed = e
print(failed)
"""


def test_a_subinterpreter_is_refused():
    out = run_python(SUBINTERPRETER).stdout
    assert "ImportError" in out or "does not support loading in subinterpreters" in out, out
    if sys.version_info < (3, 12):
        assert "main interpreter only" in out


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from 3.12 on the interpreter refuses it by itself")
def test_a_subinterpreter_that_gets_in_is_seen(tmp_path):
    """The control: without the refusal the import succeeds, and the test above would say so."""
    site = twins.build(tmp_path, "module.c", "PyInterpreterState_GetID(PyInterpreterState_Get()) == 0", "1")
    out = subprocess.run([sys.executable, "-c", SUBINTERPRETER], env=twins.environment(site), timeout=60,
                         capture_output=True, text=True, check=True).stdout
    assert out == "None\n"


def test_ctrl_c_ends_a_call():
    result = run_python("""
import inferd, os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
m = inferd.Model(sys.argv[1], threads=1, max_batch_size=1)
m.start()
began = time.monotonic()
try:  # around the timer too: a busy machine may stand still for longer than it
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    m.classify(["good film " * 25] * 1_000_000)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - began < 60)
assert m.classify(["a"])
""", TINY)
    assert result.stdout == "interrupted True\n"


@pytest.mark.parametrize("ending", ["pass", "m.close()", "sys.exit(0)", "asyncio.run(leave())"])
def test_a_process_ends_cleanly(ending):
    result = run_python(f"""
import asyncio, inferd, sys
m = inferd.Model(sys.argv[1], threads=2)
m.classify(["a"])
async def leave():
    asyncio.ensure_future(m.aclassify(["good film " * 20] * 128))
    await asyncio.sleep(0)
{ending}
""", TINY)
    assert result.stderr == ""


def test_import_to_first_answer():
    """Under a second on an idle machine (docs/python.md has the figure); here a bound for a busy one."""
    out = run_python("""
import time
began = time.perf_counter()
import inferd, json, sys
m = inferd.Model(sys.argv[1])
result = m.classify(["I love this!"])
print(json.dumps([result[0].label, time.perf_counter() - began]))
""", MODEL).stdout
    label, seconds = json.loads(out)
    print(f"import to first answer: {seconds:.3f} s")
    assert label == "POSITIVE" and seconds < 10
