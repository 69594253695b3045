#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the server costs beside the model: requests per second and CPU time per request with a model
of next to no arithmetic, one HTTP thread and one compute thread, beside nginx that answers the same
number of bytes from memory with one worker.

The ratio to nginx says how much of a request's cost is parsing, queueing, tokenising and encoding
rather than HTTP and the kernel. Rounds alternate, the best of each is shown: other work on the
machine can only make a round slower. CPU time per request depends less on it than throughput does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import serving

CONFIG = """
daemon off;
master_process on;
worker_processes 1;
worker_rlimit_nofile 4096;
error_log stderr warn;
pid {dir}/nginx.pid;
events {{ worker_connections 2048; use epoll; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_timeout 3600;
  keepalive_requests 1000000000;
  tcp_nodelay on;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    default_type application/json;
    location = /infer {{ return 200 '{body}'; }}
  }}
}}
"""


class Nginx(serving.Process):
    name = "nginx"

    def __init__(self, where: Path, body: str):
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if not program:
            raise serving.Failed("nginx is not installed: apt-get install nginx-light (on a machine with systemd it then "
                                 "also serves port 80), or give --without-nginx")
        port = serving.free_port()
        where.chmod(0o755)  # its worker may be another user
        (where / "nginx.conf").write_text(CONFIG.format(dir=where, port=port, body=body), encoding="utf-8")
        self.address = f"http://127.0.0.1:{port}"
        super().__init__([program, "-p", str(where), "-e", "stderr", "-c", str(where / "nginx.conf")])

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.address + "/infer", timeout=1):
                self.url = self.address
                return True
        except OSError:
            return False


def one(args, server: serving.Process, path: str, **options) -> dict:
    before = serving.cpu_s(server.pid)
    f = serving.bench(args.binary, server.url + path, connections=args.connections, duration=f"{args.seconds}s",
                      report_interval=0, **options)
    server.check()
    if f["ok"] != f["requests"]:
        raise serving.Failed(f"{server.name}: {f['status']} {serving.failures(f)}")
    return {"ok_per_s": f["ok_per_s"], "p50_ms": f["ok_latency_ms"]["p50"], "p99_ms": f["ok_latency_ms"]["p99"],
            "server_cpu_us": 1e6 * (serving.cpu_s(server.pid) - before) / f["requests"],
            "client_cpu_us": 1e6 * (f["client"]["user_s"] + f["client"]["system_s"]) / f["requests"],
            "bytes_per_answer": f["bytes_received"] / f["requests"]}


def measure(args, where: Path) -> tuple[dict, str]:
    model = serving.model_of(args, where)
    with serving.Inferd(args.binary, model, "--http-threads", "1", "--threads", "1", *args.server) as inferd:
        request = urllib.request.Request(inferd.url + "/infer", json.dumps({"inputs": [args.text]}).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read().decode()
        (where / "text").write_text(args.text + "\n", encoding="utf-8")
        same = {"texts": where / "text"}
        cases = [("inferd POST /infer", inferd, "/infer", {"expect_labels": 1, **same}),
                 ("inferd GET /livez", inferd, "/livez", {"method": "GET"})]
        nginx = None
        try:
            if not args.without_nginx:
                (where / "nginx").mkdir()
                nginx = Nginx(where / "nginx", body)
                cases.append(("nginx POST, return 200", nginx, "/infer", same))
            rounds: dict[str, list[dict]] = {name: [] for name, *_ in cases}
            for i in range(args.rounds):
                for name, server, path, options in cases[i % len(cases):] + cases[:i % len(cases)]:
                    serving.step(f"round {i + 1} of {args.rounds}: {name}")
                    rounds[name].append(one(args, server, path, **options))
        finally:
            if nginx:
                nginx.stop()
    return rounds, body


def best(rounds: list[dict]) -> dict:
    return {key: (max if key == "ok_per_s" else min)(r[key] for r in rounds) for key in rounds[0]}


def run() -> None:
    p = serving.parser(__doc__.split("\n\n")[0])
    p.set_defaults(model="tiny")
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--seconds", type=float, default=4.0, help="of one round of one server")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--text", default="I love this!", help="sent in each request")
    p.add_argument("--without-nginx", action="store_true", help="only inferd")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as where:
        rounds, body = measure(args, Path(where))
    shown = {name: best(r) for name, r in rounds.items()}
    serving.table(["best of rounds", "requests/s", "p50 ms", "p99 ms", "server CPU us", "client CPU us", "bytes"],
                  [[n, b["ok_per_s"], b["p50_ms"], b["p99_ms"], b["server_cpu_us"], b["client_cpu_us"],
                    b["bytes_per_answer"]] for n, b in shown.items()])
    figures = {"connections": args.connections, "text": args.text, "answer": body, "best": shown, "rounds": rounds}
    names = list(shown)
    if not args.without_nginx:
        ours, theirs = shown[names[0]], shown[names[-1]]
        figures["ratio"] = {"throughput": ours["ok_per_s"] / theirs["ok_per_s"],
                            "server_cpu": ours["server_cpu_us"] / theirs["server_cpu_us"],
                            "p99": ours["p99_ms"] / theirs["p99_ms"]}
        print("inferd /infer : nginx  " + "  ".join(f"{k} {v:.2f}" for k, v in figures["ratio"].items()))
        figures["nginx"] = subprocess.run([shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin"), "-v"],
                                          capture_output=True, text=True).stderr.strip()
    serving.finish(args, "overhead", figures)


if __name__ == "__main__":
    serving.main(run)
