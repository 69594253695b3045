#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM at random moments under load: is any request lost that was sent on a connection which the
server had taken?

Each round starts a server, puts a closed loop of keep-alive connections on it, and sends SIGTERM at
a random moment. The clients go on until the server has ended; they reconnect when an answer says
`Connection: close`, so some connect during --drain-delay, and are refused once the listener is
closed. A refused connection is not a lost request (a load balancer takes the next server); anything
else that is no whole, right answer is, and each kind is counted apart.

The control is the same with the drain switched off: a second SIGTERM follows at once, which cuts
everything. It must lose some, or the client would not see a loss.
"""

from __future__ import annotations

import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import serving

NOT_LOST = ("answer", "connect_refused", "interrupted")


def one(args, model: Path, chance: random.Random, hard: bool) -> dict:
    threads = 1 + chance.randrange(2)
    # a delay of zero is the hardest: the listener closes in the moment of the signal
    delay = 0 if chance.random() < 0.25 else args.drain_delay_ms
    with serving.Inferd(args.binary, model, "--http-threads", str(threads), "--drain-delay", f"{delay}ms",
                        *args.server) as server:
        clients = serving.start_bench(args.binary, server.url, connections=args.connections, inputs=2, duration="60s",
                                      timeout="30s", report_interval=0, expect_labels=2, order="random",
                                      seed=chance.randrange(1 << 30))
        try:
            time.sleep(0.15 + args.spread_s * chance.random())
            server.process.send_signal(signal.SIGTERM)
            if hard:
                time.sleep(0.002)  # two of the same signal may become one
                server.process.send_signal(signal.SIGTERM)
            code = server.process.wait(serving.PATIENCE_S)
            found = serving.stop_bench(clients)
        finally:
            if clients.poll() is None:
                clients.kill()
                clients.wait()
        said = [line for line in server.log().splitlines() if '"stopped"' in line]
    lost = {k: n for k, n in found["outcomes"].items() if n and k not in NOT_LOST}
    wrong = {k: n for k, n in found["status"].items() if k != "200"}
    return {"requests": found["requests"] - found["outcomes"]["connect_refused"], "ok": found["ok"], "lost": lost,
            "other_status": wrong, "refused_connections": found["outcomes"]["connect_refused"], "exit": code,
            "dropped": '"dropped":0' not in (said[-1] if said else ""), "delay_ms": delay, "http_threads": threads}


def add(total: dict, more: dict) -> None:
    for key, n in more.items():
        total[key] = total.get(key, 0) + n


def series(args, model: Path, rounds: int, hard: bool) -> dict:
    chance = random.Random(args.seed)
    total = {"rounds": rounds, "requests": 0, "ok": 0, "refused_connections": 0, "exit_not_0": 0, "said_dropped": 0,
             "rounds_with_a_loss": 0, "lost": {}, "other_status": {}}
    for i in range(rounds):
        if i % 10 == 0:
            serving.step(f"{'control' if hard else 'drain'}: round {i + 1} of {rounds}")
        r = one(args, model, chance, hard)
        for key in ("requests", "ok", "refused_connections"):
            total[key] += r[key]
        total["exit_not_0"] += r["exit"] != 0
        total["said_dropped"] += r["dropped"]
        total["rounds_with_a_loss"] += bool(r["lost"])
        add(total["lost"], r["lost"])
        add(total["other_status"], r["other_status"])
        if not hard and (r["lost"] or r["exit"]):
            serving.step(f"round {i + 1}: {r}")
    return total


def run() -> None:
    p = serving.parser(__doc__.split("\n\n")[0])
    p.add_argument("--rounds", type=int, default=200)
    p.add_argument("--control-rounds", type=int, default=20)
    p.add_argument("--connections", type=int, default=32)
    p.add_argument("--drain-delay-ms", type=int, default=200)
    p.add_argument("--spread-s", type=float, default=0.5, help="the signal comes within that time")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as where:
        model = serving.model_of(args, Path(where))
        try:
            drained = series(args, model, args.rounds, hard=False)
            control = series(args, model, args.control_rounds, hard=True)
        except subprocess.TimeoutExpired:
            raise serving.Failed("the server did not stop") from None
    serving.table(["", "rounds", "requests", "answered", "lost", "other status", "not exit 0", "refused connections"],
                  [[n, t["rounds"], t["requests"], t["ok"], sum(t["lost"].values()), sum(t["other_status"].values()),
                    t["exit_not_0"], t["refused_connections"]] for n, t in (("drain", drained), ("control", control))])
    print(f"control lost {control['lost']} in {control['rounds_with_a_loss']} rounds")
    serving.finish(args, "drain", {"drain": drained, "control": control, "connections": args.connections})
    if drained["lost"] or drained["exit_not_0"] or drained["said_dropped"]:
        raise serving.Failed(f"lost {drained['lost']}, exit not 0 in {drained['exit_not_0']} rounds")
    if not control["lost"]:
        raise serving.Failed("the control lost nothing: this run proves nothing")


if __name__ == "__main__":
    serving.main(run)
