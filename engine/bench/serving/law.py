#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The law of outcomes after a million mixed requests: the server's books beside the clients' own.

    engine/bench/serving/law.py --requests 1000000

Starts build/inferd with a small model of its own (--model takes another), sends the mix of
tests/e2e/law_client.py from several processes (half of the clients in runs where some vanish), prints
both books and exits 1 at the first difference of one. Loopback only; bounded by --requests.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "e2e"))

import law_client  # noqa: E402
import prometheus  # noqa: E402
import zero_model  # noqa: E402
from harness import MODEL, Reader, Server, get  # noqa: E402


def scrape(server: Server) -> tuple[dict, int]:
    """When only the scrape is in flight; and how many it took."""
    s = server.connect()
    r = Reader(s)
    for scrapes in range(1, 3001):
        s.sendall(get("/metrics"))
        families = prometheus.parse(r.answer().body.decode())
        if prometheus.value(families, "inferd_requests_in_flight") == 1:
            break
        time.sleep(0.02)
    s.close()
    return families, scrapes


def show(what: str, books: Counter, seconds: float) -> None:
    keys = ("sent", "ok", "client_error", "shed", "deadline", "reset", "either")
    print(f"{what}: {seconds:.0f} s; the clients: " + ", ".join(f"{k} {books[k]}" for k in keys))
    print("  answers by status: " + ", ".join(f"{k[7:]} {n}" for k, n in sorted(books.items()) if k.startswith("status_")))
    print("  ends: " + ", ".join(f"{k[4:]} {n}" for k, n in sorted(books.items()) if k.startswith("end_")))


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--requests", type=int, default=1000000)
    p.add_argument("--processes", type=int, default=2)
    p.add_argument("--clients", type=int, default=8, help="connections at a time, of each process")
    p.add_argument("--model", help="a model directory; default: a small one made for it")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--json", type=Path, help="write the figures there too")
    a = p.parse_args()
    faults = 0
    figures: dict = {"requests": a.requests}
    with tempfile.TemporaryDirectory() as where:
        model = a.model or zero_model.make(Path(where) / "small", MODEL, 32, 64, 2)
        server = Server("--threads", "1", "--http-threads", "2", "--request-timeout", "0.004", "--max-queue", "140",
                        model=model)
        try:
            for vanish in (False, True):
                before, _ = scrape(server)
                began = time.monotonic()
                each = a.requests // 2 // a.processes
                with multiprocessing.Pool(a.processes) as pool:
                    parts = pool.starmap(law_client.run, [(server.port, each, a.clients, a.seed + 2 * i + vanish, vanish)
                                                          for i in range(a.processes)])
                books = sum(parts, Counter())
                after, scrapes = scrape(server)
                show("some vanish" if vanish else "none vanishes", books, time.monotonic() - began)
                by = {o: int(prometheus.value(after, "inferd_request_outcomes_total", outcome=o)
                             - prometheus.value(before, "inferd_request_outcomes_total", outcome=o))
                      for o in prometheus.OUTCOMES}
                print(f"  the server ({scrapes} scrapes among ok): " + ", ".join(f"{o} {n}" for o, n in by.items()))
                found = prometheus.law_breaches(after) + law_client.differences(books, before, after, scrapes)
                faults += len(found)
                figures["some vanish" if vanish else "none vanishes"] = {"clients": dict(books), "server": by,
                                                                          "scrapes": scrapes, "broken": found}
                print("\n".join(f"  BROKEN: {f}" for f in found) or "  equal")
                books["sent"] += 1  # the control: a comparison that sees nothing is worth nothing
                if not law_client.differences(books, before, after, scrapes):
                    faults += 1
                    print("  BROKEN: one request more in the clients' books was not seen")
            code = server.stop()
            print(f"the log's totals: {server.events('totals')[0]}; exit status {code}")
        finally:
            server.close()
    if a.json:
        a.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
