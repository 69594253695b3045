# SPDX-License-Identifier: Apache-2.0
"""Metrics that rules and dashboards read and that no test scrapes, because their exporter does not run there: each with where
its name comes from. Everything else must be in a scrape of the C server or of a Ray node (test_monitoring_live.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exporter:
    source: str
    names: frozenset[str]


EXPORTERS = {
    "kube-state-metrics": Exporter("kubernetes/kube-state-metrics, docs/metrics/workload/*.md", frozenset({
        "kube_deployment_spec_replicas", "kube_deployment_status_condition", "kube_deployment_status_replicas_available",
        "kube_deployment_status_replicas_updated", "kube_horizontalpodautoscaler_spec_max_replicas",
        "kube_horizontalpodautoscaler_spec_min_replicas", "kube_horizontalpodautoscaler_status_condition",
        "kube_horizontalpodautoscaler_status_current_replicas", "kube_horizontalpodautoscaler_status_desired_replicas",
        "kube_pod_container_resource_limits", "kube_pod_container_status_last_terminated_reason",
        "kube_pod_container_status_restarts_total", "kube_pod_status_phase"})),
    "cAdvisor, in the kubelet": Exporter("google/cadvisor, docs/storage/prometheus.md", frozenset({
        "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total", "container_cpu_usage_seconds_total",
        "container_memory_working_set_bytes"})),
    "KubeRay's operator 1.6.2": Exporter("ray-operator/controllers/ray/metrics/ray_service_metrics.go", frozenset({
        "kuberay_service_condition_ready", "kuberay_service_condition_upgrade_in_progress"})),
    "Envoy": Exporter("docs, HTTP connection manager statistics (downstream_rq_5xx), with Envoy's default tags", frozenset({
        "envoy_http_downstream_rq_xx"})),
    "DCGM's exporter": Exporter("NVIDIA/dcgm-exporter, etc/default-counters.csv", frozenset({"DCGM_FI_DEV_XID_ERRORS"})),
    # These two are checked against Ray 2.60 itself, where it is installed.
    "Ray's autoscaler": Exporter("ray/autoscaler/_private/prom_metrics.py", frozenset({
        "autoscaler_active_nodes", "autoscaler_pending_nodes", "autoscaler_recently_failed_nodes"})),
    "a Ray node with a GPU": Exporter("ray/dashboard/modules/reporter/reporter_agent.py", frozenset({
        "ray_node_gpu_power_milliwatts", "ray_node_gpu_temperature_celsius", "ray_node_gpus_utilization",
        "ray_node_gram_available", "ray_node_gram_used"})),
}
# Prometheus' own.
BUILT_IN = frozenset({"up", "ALERTS"})
LISTED = frozenset(n for e in EXPORTERS.values() for n in e.names)
