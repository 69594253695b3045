# SPDX-License-Identifier: Apache-2.0
"""Who kept a server's threads off the CPU, by the kernel's own events (tracefs; needs root).

A thread waits from when it is woken, or is switched out while it could run, until it is switched in.
Of that wait, what the blamed thread ran on the same CPU is put down to it. Everything else (other
processes, the hypervisor, interrupts) is not in the figures."""

from __future__ import annotations

import collections
import os
import re
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
LINE = re.compile(r"\[(\d+)\]\s+\S+\s+([\d.]+): (sched_switch|sched_wakeup(?:_new)?): (.*)")
FIELD = re.compile(r"(\w+)=(\S+)")
BUFFER_KB = 65536  # of each CPU
WINDOW_S = 0.010  # longer than a batch: waits within it may fall on the same one


def available() -> bool:
    return os.access(TRACEFS / "instances", os.W_OK) and (TRACEFS / "events/sched/sched_switch").is_dir()


class Blame:
    """Fed with events in order: the waits of `victims` that fall to `blamed` (thread ids)."""

    def __init__(self, victims: set[int], blamed: set[int]):
        self.victims, self.blamed = victims, blamed
        self.since: dict[int, tuple[int, float]] = {}  # victim -> CPU it waits at, from when
        self.runs: dict[int, collections.deque] = collections.defaultdict(lambda: collections.deque(maxlen=64))
        self.waits: list[tuple[float, float]] = []     # end, seconds that were the blamed one's
        self.events = self.blamed_runs = 0

    def woken(self, at: float, pid: int, cpu: int) -> None:
        self.events += 1
        if pid in self.victims:
            self.since.setdefault(pid, (cpu, at))

    def switched(self, at: float, cpu: int, previous: int, runnable: bool, to: int) -> None:
        self.events += 1
        runs = self.runs[cpu]
        if previous in self.blamed and runs and runs[-1][1] is None:
            runs[-1][1] = at
        if to in self.blamed:
            runs.append([at, None])
            self.blamed_runs += 1
        if previous in self.victims and runnable:
            self.since[previous] = (cpu, at)
        if to in self.victims and to in self.since:
            queued_at, begin = self.since.pop(to)
            lost = sum(max(0.0, min(at, at if end is None else end) - max(begin, start))
                       for start, end in self.runs[queued_at])
            if lost > 0:
                self.waits.append((at, lost))

    def worst_ms(self) -> float:
        """The most that was lost within any 10 ms."""
        worst = total = 0.0
        recent: collections.deque = collections.deque()
        for at, lost in self.waits:
            recent.append((at, lost))
            total += lost
            while recent[0][0] < at - WINDOW_S:
                total -= recent.popleft()[1]
            worst = max(worst, total)
        return worst * 1e3

    def figures(self) -> dict:
        return {"waits": len(self.waits), "total_ms": round(sum(w for _, w in self.waits) * 1e3, 3),
                "longest_ms": round(max((w for _, w in self.waits), default=0.0) * 1e3, 3),
                "over_2_ms": sum(w > 2e-3 for _, w in self.waits),
                "most_within_10_ms": round(self.worst_ms(), 3), "loader_ran": self.blamed_runs, "events": self.events}


def feed(blame: Blame, line: str) -> None:
    found = LINE.search(line)
    if not found:
        return
    cpu, at, event, rest = int(found[1]), float(found[2]), found[3], dict(FIELD.findall(found[4]))
    if event == "sched_switch":
        blame.switched(at, cpu, int(rest["prev_pid"]), rest["prev_state"].startswith("R"), int(rest["next_pid"]))
    else:
        blame.woken(at, int(rest["pid"]), int(rest["target_cpu"]))


class Trace:
    """From `with` on: the events of one process, in an instance of tracefs of its own."""

    def __init__(self, pid: int, victims: str, blamed: str):
        tasks = {int(t.name): (t / "comm").read_text(encoding="ascii").strip() for t in Path(f"/proc/{pid}/task").iterdir()}
        self.blame = Blame({t for t, name in tasks.items() if name == victims},
                           {t for t, name in tasks.items() if name == blamed})
        self.where = TRACEFS / "instances" / f"inferd-{os.getpid()}"
        wanted = self.blame.victims | self.blame.blamed
        either = " || ".join(f"prev_pid == {t} || next_pid == {t}" for t in wanted)
        self.filters = {"sched_switch": either}
        self.filters.update(dict.fromkeys(("sched_wakeup", "sched_wakeup_new"), " || ".join(f"pid == {t}" for t in wanted)))

    def __enter__(self) -> Blame:
        self.where.mkdir()
        (self.where / "buffer_size_kb").write_text(str(BUFFER_KB))
        for event, condition in self.filters.items():
            folder = self.where / "events/sched" / event
            (folder / "filter").write_text(condition)
            (folder / "enable").write_text("1")
        return self.blame

    def __exit__(self, *_exc) -> None:
        """Only now are the events read: a reader beside the load would take time from it."""
        for event in self.filters:
            (self.where / "events/sched" / event / "enable").write_text("0")
        lost = sum(int(re.search(r"overrun: (\d+)", stats.read_text(encoding="ascii")).group(1))
                   for stats in self.where.glob("per_cpu/cpu*/stats"))
        with open(self.where / "trace", encoding="ascii", errors="replace") as events:
            for line in events:
                feed(self.blame, line)
        self.where.rmdir()
        if lost:
            raise RuntimeError(f"{lost} events did not fit into the trace's buffers: shorten the phases")
