# SPDX-License-Identifier: Apache-2.0
"""Each serving script once, as short as it goes, on the tiny model: that they run and say what they
promise, not what the figures are. INFERD_BIN is the binary."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "bench" / "serving"
BIN = os.environ.get("INFERD_BIN", str(HERE.parents[2] / "build" / "inferd"))


class Scripts(unittest.TestCase):
    def run_script(self, name, *options, code=0):
        with tempfile.TemporaryDirectory() as where:
            file = Path(where) / "out.json"
            done = subprocess.run([sys.executable, str(SCRIPTS / name), "--binary", BIN, "--json", str(file), *options],
                                  capture_output=True, text=True, timeout=250)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            figures = json.loads(file.read_text(encoding="utf-8"))
            self.assertEqual(figures["script"], name.removesuffix(".py"))
            return figures

    def test_overhead(self):
        f = self.run_script("overhead.py", "--seconds", "0.3", "--rounds", "1", "--without-nginx", "--", "--max-queue", "256")
        self.assertEqual(f["server_options"], ["--max-queue", "256"])
        self.assertGreater(f["best"]["inferd POST /infer"]["ok_per_s"], 0)

    def test_overload(self):
        f = self.run_script("overload.py", "--model", "tiny", "--seconds", "1", "--steady-seconds", "1", "--recovery-seconds",
                            "1", "--factor", "2", "--connections", "200", "--deadline-ms", "500")["inferd"]
        self.assertGreater(f["peak_ok_per_s"], 0)
        for phase in f["phases"].values():
            self.assertEqual(phase["requests"], phase["ok"] + phase["refused"] + phase["other"])

    def test_fairness(self):
        f = self.run_script("fairness.py", "--model", "tiny", "--seconds", "0.5", "--rounds", "1", "--rate", "50")
        self.assertEqual(set(f["median"]), {"alone", "control", "hog"})
        self.assertGreater(f["median"]["hog"]["hog_inputs_per_s"], 0)

    def test_idle(self):
        f = self.run_script("idle.py", "--model", "tiny", "--idle", "300", "--slow-heads", "20", "--slow-bodies", "20",
                            "--seconds", "0.5", "--slow-interval", "1", "--", "--header-timeout", "300ms")
        self.assertGreaterEqual(f["phases"]["idle"]["fds"], 294)
        self.assertLess(f["phases"]["alone again"]["fds"], 100)
        self.assertGreater(f["crowd"]["ended_after_408"], 0)
        self.assertFalse(f["phases"]["alone"]["probes"]["/healthz"]["absent"])

    def test_memory_and_its_control(self):
        options = ("--requests", "100000000", "--seconds-most", "2.5", "--every", "0.15")
        f = self.run_script("memory.py", *options, "--rss-limit", "1e9", "--fd-limit", "1e9")
        self.assertGreater(f["status"]["400"], 0)
        self.assertEqual(set(f["beside"]), {"404"})
        limits = () if not os.environ.get("IFD_TEST_VARIANT") else ("--rss-limit", "1")
        f = self.run_script("memory.py", *options, "--control", "--control-per-s", "300", *limits)
        self.assertTrue(f["verdict"]["fds"]["grows"])


if __name__ == "__main__":
    unittest.main()
