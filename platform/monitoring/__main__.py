# SPDX-License-Identifier: Apache-2.0
"""Writes what platform/apps/monitoring/config holds of rules and dashboards.

    python platform/monitoring [--check]    --check: write nothing, exit 1 where a file is not what would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

import alerts
import dashboards
import slo
from rules import prometheus_rule

CONFIG = Path(__file__).resolve().parents[1] / "apps" / "monitoring" / "config"
HEAD = "# SPDX-License-Identifier: Apache-2.0\n# Written by `make monitoring` from platform/monitoring/{}; change it there.\n"


class Dumper(yaml.SafeDumper):
    """Blocks for texts of several lines, one line for others however long."""


Dumper.add_representer(str, lambda d, s: d.represent_scalar("tag:yaml.org,2002:str", s, style="|" if "\n" in s else None))


def dump(document: dict) -> str:
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def files() -> dict[Path, str]:
    """Path below CONFIG -> content."""
    found = {
        Path("rules/slo.yaml"): HEAD.format("slo.py") + dump(prometheus_rule("inferd-slo", slo.groups())),
        Path("rules/alerts.yaml"): HEAD.format("alerts.py") + dump(prometheus_rule("inferd", alerts.groups())),
    }
    for board in dashboards.ALL:
        found[Path("dashboards") / f"{board.uid}.json"] = json.dumps(board.json(), indent=1, ensure_ascii=False) + "\n"
    return found


def main() -> None:
    check = "--check" in sys.argv[1:]
    stale = []
    for path, text in files().items():
        target = CONFIG / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path))
        if not check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    if check and stale:
        raise SystemExit(f"monitoring: not what platform/monitoring gives: {', '.join(stale)}; run: make monitoring")
    print(f"monitoring: {len(files())} files, {len(stale)} {'stale' if check else 'written'}")


if __name__ == "__main__":
    main()
