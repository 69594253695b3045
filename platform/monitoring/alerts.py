# SPDX-License-Identifier: Apache-2.0
"""What is alerted on beside the objectives of slo.py: causes that somebody can act on before users notice, and
the blind spots of figures that a server gives about itself."""

from __future__ import annotations

from rules import NAMESPACES, Alert, Group, Record, grew

SERVERS = 'job=~"inferd|ray"'
TARGETS = 'job=~"inferd|ray|ray-autoscaler|kuberay|envoy"'

RECORDS = (
    Record("job:inferd_answers:rate5m", 'sum by (job, code) (rate(inferd_requests_total{route="/infer"}[5m]))'),
    Record("job:inferd_saturation:avg", "avg by (job) (inferd_saturation_ratio)"),
    Record("job:inferd_replicas:count", "count by (job) (inferd_compute_threads)"),
    Record("job:inferd_shed:ratio_rate5m", """
        (sum by (job) (rate(inferd_request_outcomes_total{outcome=~"shed|deadline"}[5m])) or sum by (job) (rate(inferd_request_outcomes_total[5m])) * 0)
        /
        (sum by (job) (rate(inferd_request_outcomes_total{outcome=~"ok|shed|deadline|fault"}[5m])) > 0)
        """),
)

LOAD = (
    Alert("InferdSaturated", "ticket", "job:inferd_saturation:avg > 1", "5m",
          "{{ $labels.job }}: the compute threads cannot keep up",
          "The mean saturation of the replicas is {{ $value | humanize }}; 1 is at capacity, and what is beyond waits in the queue."),
    Alert("InferdQueueFilling", "ticket", 'inferd_queue_depth / ignoring (kind) inferd_queue_limit{kind="inputs"} > 0.5', "2m",
          "{{ $labels.pod }}: the queue is more than half full",
          "{{ $value | humanizePercentage }} of the places are taken; at 100 % requests are refused with 429."),
    Alert("InferdShedding", "ticket", "job:inferd_shed:ratio_rate5m > 0.01", "5m",
          "{{ $labels.job }}: requests are refused or answered too late",
          "{{ $value | humanizePercentage }} of the requests got 429, 503 or 504 for want of capacity."),
    Alert("InferdFaults", "ticket", grew("inferd_request_outcomes_total", "10m", "job, namespace, pod", 'outcome="fault"'), "0s",
          "{{ $labels.pod }}: requests failed by a fault of the server",
          "{{ $value | humanize }} in 10 minutes. Each is in the log with its request_id."),
    Alert("InferdRefusesConnections", "ticket",
          grew("inferd_rejected_total", "10m", "job, namespace, pod, reason", 'reason=~"connections|memory"'), "0s",
          "{{ $labels.pod }}: refuses requests for want of {{ $labels.reason }}",
          "{{ $value | humanize }} in 10 minutes: a limit of the process, which more load does not explain."),
)

REPLICAS = (
    Alert("InferdAbsent", "page", "absent(inferd_compute_threads)", "5m",
          "No replica of inferd is seen", "Prometheus has no metrics of a server, on Ray or not: nothing serves, or nothing is scraped."),
    Alert("InferdTargetDown", "ticket", f"up{{{TARGETS}}} == 0", "5m",
          "{{ $labels.job }}: {{ $labels.instance }} does not answer scrapes",
          "Its metrics are missing from alerts and from autoscaling."),
    Alert("InferdNotReady", "ticket", "inferd_ready == 0 unless inferd_draining == 1", "5m",
          "{{ $labels.pod }}: not ready for five minutes", "It has no model, or is still loading one; it gets no traffic."),
    Alert("InferdRestarting", "ticket", f'increase(kube_pod_container_status_restarts_total{{namespace=~"{NAMESPACES}"}}[1h]) > 2', "0s",
          "{{ $labels.namespace }}/{{ $labels.pod }}: {{ $labels.container }} restarts again and again",
          "{{ $value | humanize }} restarts in an hour."),
    Alert("InferdOutOfMemory", "ticket", f"""
          increase(kube_pod_container_status_restarts_total{{namespace=~"{NAMESPACES}"}}[15m]) > 0
          and on (namespace, pod, container)
          kube_pod_container_status_last_terminated_reason{{reason="OOMKilled"}} == 1
          """, "0s",
          "{{ $labels.namespace }}/{{ $labels.pod }}: {{ $labels.container }} was killed at its memory limit",
          "The requests in flight on it were lost."),
    Alert("InferdMemoryNearLimit", "ticket", f"""
          max by (namespace, pod, container) (container_memory_working_set_bytes{{namespace=~"{NAMESPACES}", container!=""}})
          / on (namespace, pod, container)
          max by (namespace, pod, container) (kube_pod_container_resource_limits{{namespace=~"{NAMESPACES}", resource="memory"}})
          > 0.9
          """, "10m",
          "{{ $labels.namespace }}/{{ $labels.pod }}: {{ $labels.container }} is near its memory limit",
          "{{ $value | humanizePercentage }} of the limit; at 100 % it is killed."),
    Alert("InferdFilesNearLimit", "ticket", 'process_open_fds{job="inferd"} / process_max_fds{job="inferd"} > 0.8', "5m",
          "{{ $labels.pod }}: nearly out of file descriptors",
          "{{ $value | humanizePercentage }} of them are open: connections will be refused."),
)

ROLLOUT = (
    Alert("InferdReloadRefused", "ticket", grew("inferd_model_refusals_total", "15m", "job, namespace, pod"), "0s",
          "{{ $labels.pod }}: refused a new model", "The old model serves on; what was rolled out does not."),
    Alert("InferdModelsDiffer", "ticket", "count by (job) (count by (job, digest) (inferd_model_info == 1)) > 1", "30m",
          "{{ $labels.job }}: replicas serve {{ $value }} different models",
          "A rollout of a model has not reached all replicas: equal texts get different answers."),
    Alert("InferdRolloutStuck", "ticket",
          'kube_deployment_status_condition{namespace="inferd", condition="Progressing", status="false"} == 1', "1m",
          "Deployment {{ $labels.deployment }}: the rollout does not progress",
          "The new pods do not become ready within progressDeadlineSeconds; the old ones serve on."),
    Alert("InferdRayUpgradeStuck", "ticket", 'kuberay_service_condition_upgrade_in_progress{condition="true"} == 1', "45m",
          "RayService {{ $labels.name }}: an upgrade does not end",
          "Two RayClusters run, and the new one does not become ready; the old one serves on."),
    Alert("InferdRayServiceNotReady", "page", 'kuberay_service_condition_ready{condition="false"} == 1', "10m",
          "RayService {{ $labels.name }}: not ready", "No endpoint serves behind its Service."),
    Alert("InferdRayApplicationBroken", "page", 'ray_serve_application_status{application="inferd"} <= 2', "5m",
          "Ray Serve: the application {{ $labels.application }} is broken",
          "Its status is {{ $value }}: 1 is DEPLOY_FAILED, 2 UNHEALTHY, 0 unknown."),
    Alert("InferdRayReplicasMissing", "ticket", """
          (sum by (application, deployment) (ray_serve_deployment_replica_healthy{application="inferd"})
           or max by (application, deployment) (ray_serve_autoscaling_target_replicas) * 0)
          <
          max by (application, deployment) (ray_serve_autoscaling_target_replicas{application="inferd"})
          """, "15m",
          "Ray Serve: {{ $labels.deployment }} has fewer replicas than it wants",
          "{{ $value }} are healthy. The rest cannot be placed, or fail as they start."),
)

SCALING = (
    Alert("InferdAutoscalerAtMaximum", "ticket", """
          kube_horizontalpodautoscaler_status_current_replicas{namespace="inferd"}
          >= on (namespace, horizontalpodautoscaler)
          kube_horizontalpodautoscaler_spec_max_replicas{namespace="inferd"}
          and on () job:inferd_saturation:avg{job="inferd"} > 0.7
          """, "15m",
          "{{ $labels.horizontalpodautoscaler }}: at its maximum, and still above the target",
          "{{ $value }} replicas; more load will be shed."),
    Alert("InferdAutoscalerBlind", "ticket",
          'kube_horizontalpodautoscaler_status_condition{namespace="inferd", condition="ScalingActive", status="false"} == 1', "5m",
          "{{ $labels.horizontalpodautoscaler }}: gets no metric to scale on",
          "KEDA or Prometheus does not answer: the number of replicas stays as it is."),
    Alert("InferdPodsPending", "ticket",
          f'sum by (namespace) (kube_pod_status_phase{{namespace=~"{NAMESPACES}", phase="Pending"}}) > 0', "15m",
          "{{ $labels.namespace }}: pods find no node", "{{ $value }} pods are pending: no capacity or quota, or an image that does not come."),
)

EDGE = (
    Alert("InferdGatewayErrors", "page", """
          sum(rate(envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix=~"https?-.+", envoy_response_code_class="5"}[5m]))
          / (sum(rate(envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix=~"https?-.+"}[5m])) > 0)
          > 0.05
          """, "5m",
          "The gateway answers with 5xx",
          "{{ $value | humanizePercentage }} of its answers. A server that cannot be reached does not count this itself."),
)

GPU = (
    Alert("InferdGpuMemoryNearFull", "ticket", "ray_node_gram_used / (ray_node_gram_used + ray_node_gram_available) > 0.95", "10m",
          "{{ $labels.instance }}: the memory of GPU {{ $labels.GpuIndex }} is nearly full",
          "{{ $value | humanizePercentage }} is used; a larger batch or a second replica on it will fail."),
    Alert("InferdGpuHot", "ticket", "ray_node_gpu_temperature_celsius > 85", "10m",
          "{{ $labels.instance }}: GPU {{ $labels.GpuIndex }} is hot", "{{ $value }} degrees: it lowers its clock, and answers come later."),
    Alert("InferdGpuError", "ticket", "DCGM_FI_DEV_XID_ERRORS > 0", "0s",
          "{{ $labels.Hostname }}: GPU {{ $labels.gpu }} reported XID {{ $value }}", "The driver reported a fault of the GPU or of what runs on it."),
)


def groups() -> list[Group]:
    return [Group("inferd.records", RECORDS), Group("inferd.load", LOAD), Group("inferd.replicas", REPLICAS),
            Group("inferd.rollout", ROLLOUT), Group("inferd.scaling", SCALING), Group("inferd.edge", EDGE), Group("inferd.gpu", GPU)]
