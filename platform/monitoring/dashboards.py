# SPDX-License-Identifier: Apache-2.0
"""The five dashboards. A query is written for one or both of the back ends: the C server (`job="inferd"`) and Ray's
replicas (`job="ray"`), whose metrics have the same names after the scrape (config/podmonitors.yaml)."""

from __future__ import annotations

from grafana import Dashboard, Panel, Query, Row
from rules import NAMESPACES
from slo import AVAILABILITY, LATENCY, PERIOD

J = 'job=~"$job"'
W = "$__rate_interval"
PODS = f'namespace=~"{NAMESPACES}"'
BUDGET = ((0, "red"), (0, "orange"), (0.5, "green"))

# Drawn over every panel of a dashboard: what changed, and what was alerted on.
ANNOTATIONS = (
    ("Model loaded", f"sum by (job, pod) (increase(inferd_model_loads_total{{{J}}}[1m])) > 0", "{{job}} {{pod}}"),
    ("Alert", 'ALERTS{service="inferd", alertstate="firing"}', "{{alertname}} {{job}} {{pod}}"),
)


def rate(metric: str, by: str = "job", where: str = J) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}[{W}]))"


def quantiles(metric: str, where: str = J, by: str = "job", at: tuple[float, ...] = (0.5, 0.95, 0.99), always: bool = True) -> tuple[Query, ...]:
    return tuple(Query(f"histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket{{{where}}}[{W}])))",
                       f"p{100 * q:g} {{{{{by}}}}}", always) for q in at)


def mean(metric: str, by: str = "job") -> str:
    return f"{rate(metric + '_sum', by)} / {rate(metric + '_count', by)}"


OK = f'{J}, outcome="ok"'

RED = Dashboard(
    "inferd-red", "inferd / requests, errors, durations", "What a client sees: how many, how many fail, how long.", (
        Row("Objectives", (
            Panel("Requests a second", (Query(f"sum(job:inferd_answers:rate5m{{{J}}})", "/infer"),), kind="stat", unit="reqps", width=4, height=4),
            *(Panel(f"{s.title}, {PERIOD}", (Query(f"1 - {s.ratio(PERIOD)}{{{J}}}", "{{job}}"),), f"{s.meaning} Objective: {100 * s.target:g} %.",
                    kind="stat", unit="percentunit", width=5, height=4, minimum=None, steps=((0, "red"), (s.target, "green")))
              for s in (AVAILABILITY, LATENCY)),
            *(Panel(f"{s.title}: budget left", (Query(f"{s.budget}{{{J}}}", "{{job}}"),),
                    f"Of what {100 * s.target:g} % allows to go wrong in {PERIOD}; below 0 it is overspent.", kind="stat", unit="percentunit",
                    width=5, height=4, minimum=None, steps=BUDGET) for s in (AVAILABILITY, LATENCY)))),
        Row("Rate and errors", (
            Panel("Answers of /infer by status", (Query(rate("inferd_requests_total", "job, code", f'{J}, route="/infer"'), "{{job}} {{code}}"),),
                  unit="reqps", stack=True),
            Panel("How requests end", (Query(rate("inferd_request_outcomes_total", "job, outcome"), "{{job}} {{outcome}}"),),
                  "docs/metrics.md has what each outcome means. Pages, probes among them, are counted here.", unit="reqps", log=True),
            Panel("Error ratio", tuple(Query(f"{s.ratio('5m')}{{{J}}}", f"{s.name} {{{{job}}}}") for s in (AVAILABILITY, LATENCY)),
                  "Share of bad requests over 5 minutes, by objective.", unit="percentunit"),
            *(Panel(f"Burn rate of {s.name}", tuple(Query(f"{s.ratio(w)}{{{J}}} / {s.allowed}", f"{w} {{{{job}}}}") for w in ("5m", "1h", "6h", "3d")),
                    "1 spends the budget in exactly its period; above 14.4 for an hour, or 6 for six, somebody is called.", line=6, width=8)
              for s in (AVAILABILITY, LATENCY)),
            Panel("Answers of the gateway", (Query('sum by (envoy_response_code_class) (rate(envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix=~"https?-.+"}[5m]))', "{{envoy_response_code_class}}xx", always=False),),
                  "As clients see it, also where no server was reached.", unit="reqps"))),
        Row("Durations", (
            Panel("Answers of inference", quantiles("inferd_request_duration_seconds", OK), "First byte in to last byte out, in the server.",
                  unit="s", log=True, line=0.1),
            Panel("Distribution", (Query(rate("inferd_request_duration_seconds_bucket", "le", OK), "{{le}}"),), kind="heatmap", unit="s"),
            Panel("Where the time goes, mean", (Query(mean("inferd_stage_duration_seconds", "stage"), "{{stage}}"),),
                  "The stages add up to the duration.", unit="s", stack=True),
            Panel("Queue and compute, p99", quantiles("inferd_stage_duration_seconds", f'{J}, stage=~"queue|infer"', "stage", (0.99,)),
                  "Queue beyond infer for minutes: too little compute.", unit="s", log=True, width=6),
            Panel("In flight", (Query(f"sum by (job) (inferd_requests_in_flight{{{J}}})", "{{job}}"),), width=6),
            Panel("Connections", (Query(f"sum by (job) (inferd_connections{{{J}}})", "open {{job}}"), Query(rate("inferd_connections_total"), "new a second {{job}}")),
                  "New ones near the rate of requests: clients do not keep alive. The C server only.", width=6),
            Panel("Trace spans", (Query(rate("inferd_trace_spans_total", "result"), "{{result}}"),),
                  "dropped or failed: the collector is too slow, or does not take them. The C server only.", width=6))),
    ), annotations=ANNOTATIONS)

QUEUE = Dashboard(
    "inferd-queue", "inferd / queue and batches", "How near to capacity, and what the engine makes of the load.", (
        Row("Queue", (
            Panel("Saturation", (Query(f"inferd_saturation_ratio{{{J}}}", "{{pod}}"),),
                  "Busy share of the compute threads, plus seconds of work waiting; 1 is at capacity. The autoscalers' target is 0.7.", line=1),
            Panel("Texts waiting", (Query(f"inferd_queue_depth{{{J}}}", "{{pod}}"), Query('max(inferd_queue_limit{kind="inputs"})', "limit")),
                  "The limit is of one server or replica.", log=True),
            Panel("Tokens waiting", (Query(f"inferd_queue_tokens{{{J}}}", "{{pod}}"), Query('max(inferd_queue_limit{kind="tokens"})', "limit")),
                  "The limit is of one server or replica.", log=True),
            Panel("Estimated wait", (Query(f"inferd_estimated_wait_seconds{{{J}}}", "{{pod}}"),), "Until what waits now will have been computed.", unit="s"),
            Panel("Longest wait in a batch", quantiles("inferd_batch_wait_seconds"), "The C server only.", unit="s", log=True),
            Panel("Refused", (Query(rate("inferd_rejected_total", "job, reason"), "{{job}} {{reason}}"),), "The C server only.", unit="reqps"))),
        Row("Batches", (
            Panel("Texts in a batch", quantiles("inferd_batch_size"), "The C server only."),
            Panel("Tokens in a batch", quantiles("inferd_batch_tokens"), "The C server only."),
            Panel("How full batches are", quantiles("inferd_batch_fill_ratio", at=(0.5, 0.95)),
                  "Of the larger of the two limits. Full batches and a long queue: raise the limits, or add compute. The C server only.", unit="percentunit", maximum=1))),
        Row("Work", (
            Panel("Tokens a second", (Query(rate("inferd_tokens_total"), "{{job}}"),), "There is no padding: these were all asked for.", width=6),
            Panel("Texts a second", (Query(rate("inferd_inputs_total"), "{{job}}"),), width=6),
            Panel("Compute threads busy", (Query(f"{rate('inferd_compute_busy_seconds_total')} / sum by (job) (inferd_compute_threads{{{J}}})", "{{job}}"),),
                  unit="percentunit", maximum=1, width=6),
            Panel("Tokens of a text", quantiles("inferd_input_tokens"), "After truncation. The C server only.", width=6),
            Panel("Truncated", (Query(f"{rate('inferd_truncated_inputs_total')} / {rate('inferd_inputs_total')}", "{{job}}"),), unit="percentunit"),
            Panel("Predictions by label", (Query(f"sum by (label) (rate(inferd_predictions_total{{{J}}}[{W}]))", "{{label}}"),),
                  "Shares that move: the input or the model has changed.", stack=True),
            Panel("Confidence", quantiles("inferd_confidence", at=(0.1, 0.5)), "The C server only.", unit="percentunit", maximum=1))),
    ), annotations=ANNOTATIONS)

SCALING = Dashboard(
    "inferd-scaling", "inferd / autoscaling", "How many replicas, how many are wanted, and why.", (
        Row("Signal and replicas", (
            Panel("Saturation, mean", (Query(f"job:inferd_saturation:avg{{{J}}}", "{{job}}"),), "What both autoscalers bring to 0.7.", line=0.7),
            Panel("Replicas that report", (Query(f"job:inferd_replicas:count{{{J}}}", "{{job}}"),)),
            Panel("Texts a second and replica", (Query(f"{rate('inferd_inputs_total')} / job:inferd_replicas:count{{{J}}}", "{{job}}"),)))),
        Row("C server: KEDA and the HorizontalPodAutoscaler", (
            Panel("Replicas", tuple(Query(f'{metric}{{namespace="inferd"}}', name, always=False) for metric, name in (
                ("kube_horizontalpodautoscaler_status_current_replicas", "current"), ("kube_horizontalpodautoscaler_status_desired_replicas", "desired"),
                ("kube_horizontalpodautoscaler_spec_min_replicas", "least"), ("kube_horizontalpodautoscaler_spec_max_replicas", "most")))),
            Panel("Its conditions", (Query('kube_horizontalpodautoscaler_status_condition{namespace="inferd", status="true"}', "{{condition}}", always=False),),
                  "ScalingActive: it gets its metric. ScalingLimited: it wants more than it may.", maximum=1),
            Panel("Pods that wait for a node", (Query(f'sum by (namespace) (kube_pod_status_phase{{{PODS}, phase="Pending"}})', "{{namespace}}", always=False),)))),
        Row("Ray: replicas and nodes", (
            Panel("Replicas of the deployment", (
                Query('sum by (deployment) (ray_serve_deployment_replica_healthy{application="inferd"})', "healthy {{deployment}}"),
                Query('max by (deployment) (ray_serve_autoscaling_target_replicas{application="inferd"})', "target {{deployment}}"),
                Query('max by (deployment) (ray_serve_autoscaling_desired_replicas{application="inferd"})', "before limits {{deployment}}"))),
            Panel("Ray nodes", (Query("sum by (NodeType) (autoscaler_active_nodes)", "active {{NodeType}}", always=False),
                                Query("sum by (NodeType) (autoscaler_pending_nodes)", "pending {{NodeType}}", always=False),
                                Query("sum by (NodeType) (autoscaler_recently_failed_nodes)", "failed {{NodeType}}", always=False))),
            Panel("Start of a replica, p95", (Query("histogram_quantile(0.95, sum by (deployment, le) (ray_serve_replica_startup_latency_ms_bucket))",
                                                    "{{deployment}}"),), "Process, model, warm-up; of all since Serve's controller started.", unit="ms"))),
        Row("Pods", (
            Panel("CPU", (Query(f'sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{{{PODS}, container!=""}}[{W}]))', "{{pod}}", always=False),), "Cores."),
            Panel("Memory", (Query(f'sum by (namespace, pod) (container_memory_working_set_bytes{{{PODS}, container!=""}})', "{{pod}}", always=False),), unit="bytes"),
            Panel("Throttled", (Query(f'sum by (namespace, pod) (rate(container_cpu_cfs_throttled_periods_total{{{PODS}}}[{W}])) / '
                                      f'sum by (namespace, pod) (rate(container_cpu_cfs_periods_total{{{PODS}}}[{W}]))', "{{pod}}", always=False),),
                  "Nothing here sets a CPU limit; a limit that somebody adds shows as a share above 0.", unit="percentunit", maximum=1))),
    ), annotations=ANNOTATIONS)

ROLLOUT = Dashboard(
    "inferd-rollout", "inferd / rollout", "Which model and which build serve, and how a change of either goes.", (
        Row("Models", (
            Panel("Models that serve", (Query(f"count by (job, name, architecture, dtype, isa, max_length, digest) (inferd_model_info{{{J}}} == 1)", instant=True),),
                  "More than one digest of a back end for long: a rollout has stopped half-way.", kind="table", width=24, height=5),
            Panel("Replicas by model", (Query(f"count by (job, digest) (inferd_model_info{{{J}}} == 1)", "{{job}} {{digest}}"),), stack=True, width=6),
            Panel("Loaded", (Query(f"sum by (job) (increase(inferd_model_loads_total{{{J}}}[5m]))", "{{job}}"),), "In 5 minutes.", width=6),
            Panel("Refused", (Query(f"sum by (job) (inferd_model_refusals_total{{{J}}})", "{{job}}"),), "Since their start; the log has the reason.", width=6),
            Panel("Seconds to load", (Query(f"inferd_model_load_seconds{{{J}}}", "{{pod}}"),), "And warm up.", unit="s", width=6))),
        Row("Shadow: a candidate beside the active model (C server)", (
            Panel("Share of requests", (Query("max(inferd_shadow_share_ratio)", "share"),), unit="percentunit", maximum=1),
            Panel("Disagreements", (Query("sum(inferd_shadow_disagreements_total) / (sum(inferd_shadow_inputs_total) > 0)", "of the compared", always=False),),
                  "Share of inputs whose label a promotion would change.", unit="percentunit"),
            Panel("Time to compute, p99", (Query("max by (model) (inferd_shadow_p99_seconds)", "{{model}}"),), unit="s"))),
        Row("Replicas", (
            Panel("Ready and draining", (Query("sum(inferd_ready)", "ready"), Query("sum(inferd_draining)", "draining")), "The C server only."),
            Panel("Deployment", tuple(Query(f'{metric}{{namespace="inferd"}}', f"{name} {{{{deployment}}}}", always=False) for metric, name in (
                ("kube_deployment_spec_replicas", "wanted"), ("kube_deployment_status_replicas_updated", "updated"),
                ("kube_deployment_status_replicas_available", "available")))),
            Panel("RayService", (Query('kuberay_service_condition_ready{condition="true"}', "ready {{name}}", always=False),
                                 Query('kuberay_service_condition_upgrade_in_progress{condition="true"}', "upgrading {{name}}", always=False)), maximum=1),
            Panel("Ray Serve's application", (Query('max by (application) (ray_serve_application_status{application="inferd"})', "{{application}}"),),
                  "1 DEPLOY_FAILED, 2 UNHEALTHY, 3 NOT_STARTED, 4 DELETING, 5 DEPLOYING, 6 RUNNING.", maximum=6),
            Panel("Restarts", (Query(f"sum by (namespace, pod) (increase(kube_pod_container_status_restarts_total{{{PODS}}}[1h]))", "{{pod}}", always=False),), "In an hour."),
            Panel("Age", (Query(f'time() - process_start_time_seconds{{job="inferd"}}', "{{pod}}"),), "The C server only.", unit="s"))),
        Row("Builds", (
            Panel("Builds that serve", (Query('count by (version, isa) (inferd_build_info)', instant=True),), "isa: the best instruction set of the CPU; Ray's replicas do not name it here.",
                  kind="table", width=12, height=5),
            Panel("Requests dropped by a stop", (Query("sum by (pod) (inferd_request_outcomes_total{outcome=\"drained\"})", "{{pod}}"),),
                  "What --drain-timeout cut off; 0 is normal. The last scrape may miss it: the log's totals have it.", width=12, height=5))),
    ), annotations=ANNOTATIONS)

GPU = Dashboard(
    "inferd-gpu", "inferd / GPU", "GPU nodes, as Ray's node agent sees them through NVML; faults from DCGM's exporter where there is one.", (
        Row("Use", (
            Panel("Utilization", (Query("ray_node_gpus_utilization", "{{instance}} {{GpuIndex}}", always=False),), "Share of time in which a kernel ran.", unit="percent", maximum=100),
            Panel("Memory", (Query("ray_node_gram_used / (ray_node_gram_used + ray_node_gram_available)", "{{instance}} {{GpuIndex}}", always=False),), unit="percentunit", maximum=1),
            Panel("GPUs that Ray may give out", (Query('sum(ray_resources{Name="GPU"}) by (State)', "{{State}}", always=False),)))),
        Row("Health", (
            Panel("Temperature", (Query("ray_node_gpu_temperature_celsius", "{{instance}} {{GpuIndex}}", always=False),), unit="celsius", line=85, minimum=None),
            Panel("Power", (Query("ray_node_gpu_power_milliwatts / 1000", "{{instance}} {{GpuIndex}}", always=False),), unit="watt"),
            Panel("Last XID", (Query("DCGM_FI_DEV_XID_ERRORS", "{{Hostname}} {{gpu}}", always=False),), "0: none. From DCGM's exporter."))),
        Row("What the GPU nodes serve", (
            Panel("Tokens a second", (Query('sum(rate(inferd_tokens_total{job="ray"}[5m]))', "all replicas on Ray"),)),
            Panel("Saturation", (Query('job:inferd_saturation:avg{job="ray"}', "mean"),), line=0.7),
            Panel("Node CPU", (Query("ray_node_cpu_utilization", "{{instance}}"),), "This build computes on the CPU, also on a GPU node.", unit="percent", maximum=100))),
    ), annotations=ANNOTATIONS)

ALL = (RED, QUEUE, SCALING, ROLLOUT, GPU)
