# SPDX-License-Identifier: Apache-2.0
"""Dashboards by the schema that Grafana publishes as Go types (its foundation SDK), read strictly."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import boards
from door import HERE

GO = os.environ.get("INFERD_GO") or shutil.which("go") or "go"


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="grafana-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        subprocess.run([GO, "build", "-o", str(cls.folder / "check"), "."], cwd=HERE / "grafana", check=True,
                       env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"})

    def check(self, *paths: Path) -> subprocess.CompletedProcess:
        return subprocess.run([str(self.folder / "check"), *map(str, paths)], capture_output=True, text=True, check=False)

    def test_each_is_as_grafana_has_it(self):
        done = self.check(*boards.paths())
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("5 dashboards, 0 refused", done.stdout)

    def test_broken_ones_are_refused(self):
        def refused(change) -> str:
            board = copy.deepcopy(boards.load()["inferd-red"])
            change(board, next(p for p in board["panels"] if p["type"] == "timeseries"))
            path = self.folder / "broken.json"
            path.write_text(json.dumps(board))
            done = self.check(path)
            self.assertEqual(done.returncode, 1, done.stdout)
            return done.stdout

        for where, change in {
            "gridPos": lambda b, p: p["gridPos"].update(w="wide"),
            "legendary": lambda b, p: p["options"].update(legendary=True),
            "displayMode": lambda b, p: p["options"]["legend"].pop("displayMode"),
            "thresholds": lambda b, p: p["fieldConfig"]["defaults"]["thresholds"].update(steps="red"),
            "expr": lambda b, p: p["targets"][0].update(expr=7),
            "templating": lambda b, p: b["templating"]["list"][1].update(refresh="sometimes"),
            "annotations": lambda b, p: b["annotations"]["list"][0].pop("iconColor"),
            "panel": lambda b, p: b.update(panel=[]),
        }.items():
            self.assertIn(where, refused(change))


if __name__ == "__main__":
    unittest.main()
