# SPDX-License-Identifier: Apache-2.0
"""What a saved plan means in words and money.

Prices are platform/prices.json: list prices with their date and source, of a few regions. What the file does not have is
not guessed: the summary says so.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

HOURS_A_MONTH = 730
IN_WORDS = {
    "google_container_cluster": "regional GKE cluster", "google_container_node_pool": "node pool",
    "google_compute_network": "network", "google_compute_subnetwork": "subnetwork", "google_compute_router": "router",
    "google_compute_router_nat": "NAT", "google_service_account": "service account",
    "google_service_account_iam_member": "IAM binding", "google_project_iam_member": "IAM binding",
    "google_kms_crypto_key_iam_member": "IAM binding", "google_artifact_registry_repository_iam_member": "IAM binding",
}


def actions(plan: dict) -> dict[str, Counter]:
    """create, update, replace and delete -> how many of what."""
    found: dict[str, Counter] = {}
    for change in plan.get("resource_changes", []):
        if change.get("mode") != "managed":
            continue
        what = change["change"]["actions"]
        action = "replace" if len(what) == 2 else what[0]
        if action not in ("no-op", "read"):
            found.setdefault(action, Counter())[IN_WORDS.get(change["type"], change["type"])] += 1
    return found


def pools(plan: dict) -> list[dict]:
    """The node pools that the plan ends with: name, machine, spot, T4s a node, fewest and most nodes, region."""
    found = []
    for change in plan.get("resource_changes", []):
        after = change["change"].get("after")
        if change["type"] != "google_container_node_pool" or after is None:
            continue
        node, scale = after["node_config"][0], after["autoscaling"][0]
        found.append({"name": after["name"], "machine": node["machine_type"], "spot": bool(node.get("spot")), "region": after["location"],
                      "t4": sum(g["count"] for g in node.get("guest_accelerator") or []),
                      "min": scale.get("total_min_node_count") or 0, "max": scale["total_max_node_count"]})
    return sorted(found, key=lambda p: p["name"])


def node_price(pool: dict, prices: dict) -> float | None:
    """Dollars an hour of one node, or None where the price is not in the file."""
    kind = "spot" if pool["spot"] else "on_demand"
    region = prices["regions"].get(pool["region"], {})
    machine, t4 = region.get(pool["machine"], {}).get(kind), region.get("nvidia-tesla-t4", {}).get(kind)
    if machine is None or (pool["t4"] and t4 is None):
        return None
    return machine + pool["t4"] * (t4 or 0)


def cost(plan: dict, prices: dict) -> tuple[list[tuple[str, float | None, float | None]], str]:
    """Rows (what, dollars a month idle, at load), None where a price is missing; and what a caller must know of them.

    Idle is every pool at its fewest nodes, load at its most. Pools of GPUs share one quota: together they count once,
    at the dearest of them, since all may be in that one.
    """
    rows: list[tuple[str, float | None, float | None]] = []
    if any(c["type"] == "google_container_cluster" and c["change"].get("after") for c in plan.get("resource_changes", [])):
        fee = prices["cluster_hour"] * HOURS_A_MONTH
        rows.append(("cluster management", fee, fee))
    shared = [p for p in pools(plan) if p["t4"]]
    for pool in pools(plan):
        price = node_price(pool, prices)
        idle = None if price is None else pool["min"] * price * HOURS_A_MONTH
        load = None if price is None else pool["max"] * price * HOURS_A_MONTH
        dearest = max(shared, key=lambda p: (node_price(p, prices) or 0, p["name"]), default=None)
        name = f"pool {pool['name']}: {pool['min']} to {pool['max']} x {pool['machine']}{' + T4' if pool['t4'] else ''}{', spot' if pool['spot'] else ''}"
        if pool["t4"] and pool is not dearest and pool != dearest and load is not None:
            name, load = f"{name} (shares its quota with {dearest['name']})", 0.0
        rows.append((name, idle, load))
    return rows, f"{prices['currency']}, list prices of {prices['date']} ({prices['source']}); not in it: {prices['not_included']}"


def table(rows: list[tuple[str, float | None, float | None]]) -> list[str]:
    lines = []
    for name, idle, load in rows:
        lines.append(f"  {name:<78} " + (f"{idle:>9,.0f} {load:>9,.0f}" if idle is not None and load is not None else "no price held for it"))
    known = [(i, l) for _, i, l in rows if i is not None and l is not None]
    what = "total" if len(known) == len(rows) else "total of what has a price"
    lines.append(f"  {what:<78} {sum(i for i, _ in known):>9,.0f} {sum(l for _, l in known):>9,.0f}")
    return lines


def summary(plan: dict, root: Path) -> str:
    prices = json.loads((root / "platform" / "prices.json").read_text(encoding="utf-8"))
    lines = ["", "This plan"]
    found = actions(plan)
    for action in ("create", "update", "replace", "delete"):
        if action in found:
            lines.append(f"  {action}s " + ", ".join(f"{n} {what}{'s' if n > 1 else ''}" for what, n in sorted(found[action].items())))
    if not found:
        lines.append("  changes nothing")
    rows, note = cost(plan, prices)
    if rows:
        lines += ["", f"{'A month (730 h) of it costs':<80} {'idle':>9} {'at load':>9}", *table(rows), f"  {note}"]
    lines += ["", "To carry it out: make apply-plan"]
    return "\n".join(lines)
