# SPDX-License-Identifier: Apache-2.0
"""A case for each alert of platform/monitoring/alerts.py: series that fire it, and healthy twins that do not."""

from __future__ import annotations

from alert_rules import Case, Scenario, const, ramp

A = 'job="inferd", namespace="inferd", pod="a"'
B = 'job="inferd", namespace="inferd", pod="b"'
RAY = 'job="ray", namespace="ray", pod="w"'
OF_A = {"job": "inferd", "namespace": "inferd", "pod": "a"}
OTHER = 'namespace="kube-system", pod="z", container="z"'  # not ours
C = 'namespace="inferd", pod="a", container="inferd"'
OF_C = {"namespace": "inferd", "pod": "a", "container": "inferd"}


def twice(matcher: str) -> list[str]:
    """Mutants that lack a matcher which both sides of an operator have: what it leaves out there finds no partner."""
    return [f"expr: without {matcher}", f"expr: without {matcher}, #2"]


def gauge(name: str, labels: str, fires: list[dict[str, str]], bad: float, good: float, wait: int, **more: str) -> list[Scenario]:
    """A gauge that is bad from minute 10 on: nothing before `wait` has passed, then `fires`; and one that is good."""
    late = {f"{wait + 8}m": [], f"{wait + 15}m": fires} if wait else {"9m": [], "15m": fires}
    rest = {k.replace("__", "{") + "}" if "__" in k else k: v for k, v in more.items()}
    return [Scenario({f"{name}{{{labels}}}": f"{good}x9 {bad}x180", **rest}, late),
            Scenario({f"{name}{{{labels}}}": const(good, 180), **rest}, {f"{wait + 15}m": []})]


def answered(labels: str, ok: float, shed: float, steps: int = 60, **other: float) -> dict[str, str]:
    outcomes = {"ok": ok, "shed": shed, "client_error": 5000, **other}
    return {f'inferd_request_outcomes_total{{{labels}, outcome="{o}"}}': ramp((rate, steps)) for o, rate in outcomes.items()}


def load() -> list[Case]:
    limit = {f'inferd_queue_limit{{{A}, kind="inputs"}}': const(1024), f'inferd_queue_limit{{{A}, kind="tokens"}}': const(100)}
    depth = f"inferd_queue_depth{{{A}}}"
    fault = f'inferd_request_outcomes_total{{{A}, outcome="fault"}}'
    healthy = {f'inferd_request_outcomes_total{{{A}, outcome="shed"}}': ramp((5, 60)), f'inferd_request_outcomes_total{{{A}, outcome="ok"}}': ramp((5, 60))}
    refused = f'inferd_rejected_total{{{A}, reason="memory"}}'
    queue = {f'inferd_rejected_total{{{A}, reason="queue"}}': ramp((5, 60))}
    return [
        Case("InferdSaturated", [
            Scenario({f"inferd_saturation_ratio{{{A}}}": "0.7x9 1.9x60", f"inferd_saturation_ratio{{{B}}}": "0.7x9 1.1x60"}, {"13m": [], "18m": [{"job": "inferd"}]}),
            Scenario({f"inferd_saturation_ratio{{{A}}}": const(1.5), f"inferd_saturation_ratio{{{B}}}": const(0.3)}, {"18m": []})]),
        Case("InferdQueueFilling", [
            Scenario({depth: "10x9 800x60", **limit}, {"11m": [], "14m": [OF_A]}),
            Scenario({depth: const(300), **limit}, {"14m": []})]),
        Case("InferdShedding", [
            Scenario(answered(A, 970, 30), {"4m": [], "14m": [{"job": "inferd"}]}),
            Scenario(answered(A, 992, 8, fault=500, drained=100), {"14m": []}),
            Scenario(answered(A, 0, 0), {"14m": []}),
            Scenario(answered(A, 992, 8, cancelled=8), {"14m": []})]),
        Case("InferdFaults", [
            Scenario({fault: "0x9 3x60", **healthy}, {"9m": [], "12m": [OF_A], "40m": []}),
            Scenario({f'inferd_request_outcomes_total{{{RAY}, outcome="fault"}}': "_x9 1x60"}, {"12m": [{"job": "ray", "namespace": "ray", "pod": "w"}], "40m": []}),
            Scenario({fault: const(3), **healthy}, {"40m": []})]),
        Case("InferdRefusesConnections", [
            Scenario({refused: "0x9 3x60", **queue}, {"9m": [], "12m": [{**OF_A, "reason": "memory"}], "40m": []}),
            Scenario({f'inferd_rejected_total{{{A}, reason="connections"}}': "_x9 1x60", **queue}, {"12m": [{**OF_A, "reason": "connections"}]}),
            Scenario({refused: const(3), **queue, f'inferd_rejected_total{{{A}, reason="loading"}}': "_x9 1x60"}, {"12m": [], "40m": []})]),
    ]


def replicas() -> list[Case]:
    restarts = "kube_pod_container_status_restarts_total"
    working, limits = "container_memory_working_set_bytes", "kube_pod_container_resource_limits"
    return [
        Case("InferdAbsent", [Scenario({f"inferd_compute_threads{{{A}}}": "2x9 _x60"}, {"16m": [], "25m": [{}]}),
                              Scenario({f"inferd_compute_threads{{{RAY}}}": const(2)}, {"25m": []})]),
        Case("InferdTargetDown", [
            Scenario({'up{job="inferd", instance="a:8080"}': "1x9 0x60", 'up{job="ray", instance="h:8080"}': const(1), 'up{job="node-exporter", instance="n:9100"}': const(0)},
                     {"13m": [], "18m": [{"job": "inferd", "instance": "a:8080"}]}),
            Scenario({'up{job="inferd", instance="a:8080"}': const(1)}, {"18m": []}),
            *(Scenario({f'up{{job="{job}", instance="x"}}': const(0)}, {"18m": [{"job": job, "instance": "x"}]}) for job in ("ray", "ray-autoscaler", "kuberay", "envoy"))]),
        Case("InferdNotReady", [
            Scenario({f"inferd_ready{{{A}}}": "1x9 0x60", f"inferd_draining{{{A}}}": const(0)}, {"13m": [], "18m": [OF_A]}),
            Scenario({f"inferd_ready{{{A}}}": const(0), f"inferd_draining{{{A}}}": const(1)}, {"18m": []}),
            Scenario({f"inferd_ready{{{A}}}": const(1), f"inferd_draining{{{A}}}": const(0)}, {"18m": []})]),
        Case("InferdRestarting", [
            Scenario({f"{restarts}{{{C}}}": "0x60 1x5 2x5 3x5 4x60", f"{restarts}{{{OTHER}}}": ramp((1, 180))}, {"58m": [], "1h25m": [OF_C]}),
            Scenario({f"{restarts}{{{C}}}": "0x60 1x100"}, {"1h25m": []})]),
        Case("InferdOutOfMemory", [
            Scenario({f"{restarts}{{{C}}}": "0x9 1x60", f'kube_pod_container_status_last_terminated_reason{{{C}, reason="OOMKilled"}}': "_x9 1x60"}, {"9m": [], "12m": [OF_C], "40m": []}),
            Scenario({f"{restarts}{{{C}}}": "0x9 1x60", f'kube_pod_container_status_last_terminated_reason{{{C}, reason="Error"}}': "_x9 1x60",
                      f'kube_pod_container_status_last_terminated_reason{{{C}, reason="OOMKilled"}}': "_x9 0x60"}, {"12m": []}),
            Scenario({f"{restarts}{{{OTHER}}}": "0x9 1x60", f'kube_pod_container_status_last_terminated_reason{{{OTHER}, reason="OOMKilled"}}': "_x9 1x60"}, {"12m": []})]),
        Case("InferdMemoryNearLimit", [
            Scenario({f"{working}{{{C}}}": "100x9 460x60", f'{limits}{{{C}, resource="memory"}}': const(500), f'{limits}{{{C}, resource="cpu"}}': const(2000),
                      f'{working}{{namespace="inferd", pod="a", container=""}}': const(480), f'{limits}{{namespace="inferd", pod="a", container="", resource="memory"}}': const(500)},
                     {"18m": [], "25m": [OF_C]}),
            Scenario({f"{working}{{{OTHER}}}": const(460), f'{limits}{{{OTHER}, resource="memory"}}': const(500)}, {"25m": []}),
            Scenario({f"{working}{{{C}}}": const(200), f'{limits}{{{C}, resource="memory"}}': const(500)}, {"25m": []})],
            equal=dict.fromkeys(twice('namespace=~"inferd|ray"'), "the other side of the division has the namespace too")),
        Case("InferdFilesNearLimit", [
            *gauge("process_open_fds", A, [OF_A], 900, 300, 5, **{f"process_max_fds__{A}": const(1000, 180)}),
            Scenario({'process_open_fds{job="prometheus"}': const(900), 'process_max_fds{job="prometheus"}': const(1000)}, {"20m": []})],
            equal=dict.fromkeys(twice('job="inferd"'), "the other side of the division has the job too")),
    ]


def rollout() -> list[Case]:
    info = "inferd_model_info"
    ray = {"name": "inferd", "namespace": "ray"}
    status = "kube_deployment_status_condition"
    of = 'namespace="inferd", deployment="inferd", reason="x"'
    ready, upgrading = "kuberay_service_condition_ready", "kuberay_service_condition_upgrade_in_progress"
    svc = 'name="inferd", namespace="ray"'
    healthy, target = "ray_serve_deployment_replica_healthy", "ray_serve_autoscaling_target_replicas"
    app = 'application="inferd", deployment="Classifier"'
    return [
        Case("InferdReloadRefused", [
            Scenario({f"inferd_model_refusals_total{{{A}}}": "0x9 1x60"}, {"9m": [], "12m": [OF_A], "40m": []}),
            Scenario({f"inferd_model_refusals_total{{{RAY}}}": "_x9 1x60"}, {"12m": [{"job": "ray", "namespace": "ray", "pod": "w"}], "40m": []}),
            Scenario({f"inferd_model_refusals_total{{{A}}}": const(1)}, {"40m": []})]),
        Case("InferdModelsDiffer", [
            Scenario({f'{info}{{{A}, digest="x"}}': const(1), f'{info}{{{B}, digest="x"}}': "1x9 _x120", f'{info}{{{B}, digest="y"}}': "_x9 1x120"},
                     {"35m": [], "50m": [{"job": "inferd"}]}),
            # Ray says 0 of a model that serves no longer
            Scenario({f'{info}{{{RAY}, digest="x"}}': const(0), f'{info}{{{RAY}, digest="y"}}': const(1), f'{info}{{{A}, digest="x"}}': const(1)}, {"50m": []})]),
        Case("InferdRolloutStuck", [
            Scenario({f'{status}{{{of}, condition="Progressing", status="false"}}': "0x9 1x60"}, {"9m": [], "10m": [], "13m": [
                {"namespace": "inferd", "deployment": "inferd", "reason": "x", "condition": "Progressing", "status": "false"}]}),
            Scenario({f'{status}{{{of}, condition="Progressing", status="false"}}': const(0), f'{status}{{{of}, condition="Progressing", status="true"}}': const(1),
                      f'{status}{{{of}, condition="ReplicaFailure", status="false"}}': const(1),
                      f'{status}{{namespace="other", deployment="x", condition="Progressing", status="false"}}': const(1)}, {"13m": []})]),
        Case("InferdRayUpgradeStuck", [
            *gauge(upgrading, f'{svc}, condition="true"', [{**ray, "condition": "true"}], 1, 0, 45),
            Scenario({f'{upgrading}{{{svc}, condition="false"}}': const(1)}, {"1h": []})]),
        Case("InferdRayServiceNotReady", [
            *gauge(ready, f'{svc}, condition="false"', [{**ray, "condition": "false"}], 1, 0, 10),
            Scenario({f'{ready}{{{svc}, condition="true"}}': const(1)}, {"25m": []})]),
        Case("InferdRayApplicationBroken", [
            Scenario({f'ray_serve_application_status{{{RAY}, application="inferd"}}': "6x9 2x60"}, {"13m": [], "18m": [{"job": "ray", "namespace": "ray", "pod": "w", "application": "inferd"}]}),
            Scenario({f'ray_serve_application_status{{{RAY}, application="inferd"}}': const(5), f'ray_serve_application_status{{{RAY}, application="other"}}': const(1)}, {"18m": []})]),
        Case("InferdRayReplicasMissing", [
            Scenario({f'{healthy}{{{app}, replica="a"}}': const(1), f'{healthy}{{{app}, replica="b"}}': "1x9 0x60", f"{target}{{{app}}}": const(2),
                      f'{healthy}{{application="other", deployment="Classifier", replica="a"}}': const(1), f'{target}{{application="other", deployment="Classifier"}}': const(5)},
                     {"20m": [], "28m": [{"application": "inferd", "deployment": "Classifier"}]}),
            Scenario({f'{healthy}{{{app}, replica="a"}}': const(1), f'{healthy}{{{app}, replica="b"}}': const(1), f"{target}{{{app}}}": const(2)}, {"28m": []}),
            # none at all, and so none that says it is not healthy
            Scenario({f'{healthy}{{{app}, replica="a"}}': "1x5 _x60", f"{target}{{{app}}}": const(1)}, {"35m": [{"application": "inferd", "deployment": "Classifier"}]})],
            equal={'expr: without application="inferd"': "both sides have the application"}),
    ]


def scaling() -> list[Case]:
    hpa = 'namespace="inferd", horizontalpodautoscaler="keda-hpa-inferd"'
    of = {"namespace": "inferd", "horizontalpodautoscaler": "keda-hpa-inferd"}
    now, most = "kube_horizontalpodautoscaler_status_current_replicas", "kube_horizontalpodautoscaler_spec_max_replicas"
    condition = "kube_horizontalpodautoscaler_status_condition"
    busy, idle = {f"inferd_saturation_ratio{{{A}}}": const(0.95)}, {f"inferd_saturation_ratio{{{A}}}": const(0.4)}
    other = 'namespace="other", horizontalpodautoscaler="x"'
    return [
        Case("InferdAutoscalerAtMaximum", [
            Scenario({f"{now}{{{hpa}}}": "3x9 6x60", f"{most}{{{hpa}}}": const(6), **busy}, {"20m": [], "28m": [of]}),
            Scenario({f"{now}{{{hpa}}}": const(6), f"{most}{{{hpa}}}": const(6), **idle, f"inferd_saturation_ratio{{{RAY}}}": const(0.95)}, {"28m": []}),
            Scenario({f"{now}{{{hpa}}}": const(5), f"{most}{{{hpa}}}": const(6), **busy, f"{now}{{{other}}}": const(6), f"{most}{{{other}}}": const(6)}, {"28m": []})],
            equal=dict.fromkeys(twice('namespace="inferd"'), "both sides have the namespace")),
        Case("InferdAutoscalerBlind", [
            *gauge(condition, f'{hpa}, condition="ScalingActive", status="false"', [{**of, "condition": "ScalingActive", "status": "false"}], 1, 0, 5),
            Scenario({f'{condition}{{{hpa}, condition="ScalingActive", status="true"}}': const(1), f'{condition}{{{hpa}, condition="ScalingLimited", status="false"}}': const(1),
                      f'{condition}{{{other}, condition="ScalingActive", status="false"}}': const(1)}, {"20m": []})]),
        Case("InferdPodsPending", [
            Scenario({'kube_pod_status_phase{namespace="ray", pod="w", phase="Pending"}': "0x9 1x60"}, {"20m": [], "28m": [{"namespace": "ray"}]}),
            Scenario({'kube_pod_status_phase{namespace="inferd", pod="w", phase="Running"}': const(1), 'kube_pod_status_phase{namespace="inferd", pod="w", phase="Pending"}': const(0),
                      'kube_pod_status_phase{namespace="other", pod="w", phase="Pending"}': const(1)}, {"28m": []})]),
    ]


def edge_and_gpu() -> list[Case]:
    code = "envoy_http_downstream_rq_xx"
    https = 'envoy_http_conn_manager_prefix="https-10443", envoy_response_code_class="'
    own = {f'{code}{{envoy_http_conn_manager_prefix="eg-stats-http", envoy_response_code_class="2"}}': ramp((1000, 60))}  # scrapes
    node = 'job="ray", instance="w:8080", GpuIndex="0"'
    of = {"job": "ray", "instance": "w:8080", "GpuIndex": "0"}
    free = {f"ray_node_gram_available{{{node}}}": const(1000, 180)}
    return [
        Case("InferdGatewayErrors", [
            Scenario({f"{code}{{{https}2\"}}": ramp((90, 60)), f"{code}{{{https}5\"}}": ramp((10, 60)), **own}, {"4m": [], "14m": [{}]}),
            Scenario({f"{code}{{{https}2\"}}": ramp((97, 60)), f"{code}{{{https}5\"}}": ramp((3, 60)), **own,
                      f'{code}{{envoy_http_conn_manager_prefix="admin", envoy_response_code_class="5"}}': ramp((50, 60))}, {"14m": []})]),
        Case("InferdGpuMemoryNearFull", [
            Scenario({f"ray_node_gram_used{{{node}}}": "9000x9 39000x60", **free}, {"18m": [], "25m": [of]}),
            Scenario({f"ray_node_gram_used{{{node}}}": const(9000), **free}, {"25m": []})]),
        Case("InferdGpuHot", gauge("ray_node_gpu_temperature_celsius", node, [of], 91, 60, 10)),
        Case("InferdGpuError", gauge("DCGM_FI_DEV_XID_ERRORS", 'gpu="0", Hostname="n"', [{"gpu": "0", "Hostname": "n"}], 79, 0, 0)),
    ]


def cases() -> list[Case]:
    return [*load(), *replicas(), *rollout(), *scaling(), *edge_and_gpu()]
