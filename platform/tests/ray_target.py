# SPDX-License-Identifier: Apache-2.0
"""A Ray node with the application, for a Prometheus of a test to scrape: prints a line of JSON when there is something to see,
answers requests until its standard input ends. Runs in Ray's environment: .venv/ray/bin/python ray_target.py."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "rayops"))
from local import LocalRay, config, free_port  # noqa: E402

WAIT_S = 300
REPLICA = {"min_replicas": 1, "max_replicas": 2, "threads": 1}


def not_run_here() -> list[str]:
    """Names of metrics of Ray processes, or of hardware, that are not here, as Ray's own code has them."""
    from ray.autoscaler._private.prom_metrics import AutoscalerPrometheusMetrics
    from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

    families = AutoscalerPrometheusMetrics(session_name="x").registry.collect()
    return sorted({f.name for f in families} | {f"ray_{name}" for name in METRICS_GAUGES})


def main() -> None:
    import ray

    with LocalRay() as local, tempfile.TemporaryDirectory() as empty:
        port = free_port()
        local.deploy(config(port=port, args=REPLICA), WAIT_S)
        over = threading.Event()

        def ask() -> None:
            bodies = [json.dumps({"inputs": ["a good film", "not a good film at all"]}).encode(), json.dumps({"text": "w " * 400}).encode(), b'{"inputs": 3}']
            while not over.wait(0.1):
                for body in bodies:
                    request = urllib.request.Request(f"http://127.0.0.1:{port}/infer", body, {"Content-Type": "application/json"})
                    with contextlib.suppress(urllib.error.URLError, OSError):
                        urllib.request.urlopen(request, timeout=20).read()

        client = threading.Thread(target=ask)
        client.start()
        local.deploy(config(empty, port=port, args=REPLICA), WAIT_S)  # refused: Ray has no counter of refusals before the first
        local.deploy(config(port=port, args=REPLICA), WAIT_S)
        time.sleep(35)  # beyond the time after which Ray forgets a gauge
        (node,) = ray.nodes()
        print(json.dumps({"metrics": f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}", "elsewhere": not_run_here()}), flush=True)
        sys.stdin.read()
        over.set()
        client.join()


if __name__ == "__main__":
    main()
