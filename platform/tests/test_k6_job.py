# SPDX-License-Identifier: Apache-2.0
"""The load test's Job as k6 runs it: the arguments and environment of k6/k6-job.yaml, the scripts as they stand in the ConfigMap, a
real server. Only the URL, the folder of the scripts and the length of a stage are this test's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import yaml
from door import ROOT

sys.path.insert(0, str(ROOT / "scripts/platform"))
import smoke  # noqa: E402

K6 = Path(os.environ.get("INFERD_TOOLS_BIN", "/nonexistent")) / "k6"


class Job(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="k6-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, True)
        for name, text in yaml.safe_load(smoke.config_map(ROOT))["data"].items():
            (cls.dir / name).write_text(text)
        if not (ROOT / "build/inferd").exists():
            subprocess.run([str(ROOT / "scripts/build.sh"), "build", "-DIFD_TESTS=OFF"], check=True)
        log = cls.dir / "server.log"
        with log.open("wb") as out:
            cls.server = subprocess.Popen([str(ROOT / "build/inferd"), "serve", "--model", str(ROOT / "models/sst2-minilm-l6"), "--port", "0"], stderr=out, stdout=out)
        cls.addClassCleanup(cls.end)
        found = None
        for _ in range(1200):
            found = re.search(r'"event":"ready".*"url":"([^"]+)"', log.read_text())
            if found or cls.server.poll() is not None:
                break
            time.sleep(0.1)
        if not found:
            raise AssertionError(log.read_text())
        cls.url = f"{found.group(1)}/infer"

    @classmethod
    def end(cls):
        cls.server.terminate()
        cls.server.wait(timeout=120)

    def job(self, **more: str) -> subprocess.CompletedProcess[str]:
        container = yaml.safe_load((ROOT / "k6/k6-job.yaml").read_text())["spec"]["template"]["spec"]["containers"][0]
        env = {e["name"]: e["value"] for e in container["env"]} | {"INFER_URL": self.url, "HOME": str(self.dir), "STAGE": "1s", "PATH": "/nonexistent"} | more
        args = [a.replace("/scripts", str(self.dir)) for a in container["args"]]
        return subprocess.run([str(K6), *args], env=env, capture_output=True, text=True, timeout=600, check=False)

    def test_it_ends_and_its_log_holds_the_summary(self):
        done = self.job(P95_MS="60000")  # a busy machine is not what this test is about
        self.assertEqual(done.returncode, smoke.PASSED, done.stdout[-2000:] + done.stderr[-2000:])
        metrics = json.loads(smoke.summary(done.stdout))["metrics"]
        self.assertGreater(metrics["http_reqs"]["values"]["count"], 5)
        self.assertEqual(metrics["http_req_failed"]["values"]["rate"], 0)

    def test_a_missed_threshold_fails_it_and_is_told(self):
        done = self.job(P95_MS="0.001")
        self.assertEqual(done.returncode, smoke.MISSED, done.stdout[-2000:])
        self.assertRegex(done.stdout, r"MISSED http_req_duration p\(95\)<0\.001")
        self.assertIsNotNone(smoke.summary(done.stdout))

    def test_a_server_that_is_not_there_fails_it(self):
        self.assertNotIn(self.job(INFER_URL="http://127.0.0.1:9/infer").returncode, (smoke.PASSED,))


if __name__ == "__main__":
    unittest.main()
