# SPDX-License-Identifier: Apache-2.0
# RayServices.
package main

import rego.v1

groups contains {"of": o, "g": g} if {
	some o in rayservices
	some g in o.spec.rayClusterConfig.workerGroupSpecs
}

deny contains sprintf("ray-replicas: group %s: Ray's autoscaler owns replicas; leave them out", [x.g.groupName]) if {
	some x in groups
	has_key(x.g, "replicas")
}

has_key(o, k) if o[k] == o[k]

deny contains sprintf("ray-group-size: group %s: 0 <= minReplicas <= maxReplicas, and maxReplicas > 0", [x.g.groupName]) if {
	some x in groups
	not right_size(x.g)
}

right_size(g) if {
	g.minReplicas >= 0
	g.minReplicas <= g.maxReplicas
	g.maxReplicas > 0
}

deny contains "ray-head: rayStartParams num-cpus must be \"0\": a replica on the head competes with the controller" if {
	some o in rayservices
	object.get(o.spec.rayClusterConfig.headGroupSpec, ["rayStartParams", "num-cpus"], "") != "0"
}

deny contains "ray-head: excludeHeadPodFromServeSvc must be true: no request should go through the head" if {
	some o in rayservices
	not o.spec.excludeHeadPodFromServeSvc == true
}

deny contains "ray-token: authOptions.mode must be token: Ray runs code for whoever reaches its dashboard" if {
	some o in rayservices
	object.get(o.spec.rayClusterConfig, ["authOptions", "mode"], "disabled") != "token"
}

deny contains "ray-version: rayVersion must be a whole version; KubeRay chooses probes and autoscaler by it" if {
	some o in rayservices
	not regex.match(`^[0-9]+\.[0-9]+\.[0-9]+$`, object.get(o.spec.rayClusterConfig, "rayVersion", ""))
}

deny contains "ray-autoscaler: enableInTreeAutoscaling, and autoscalerOptions.version v2" if {
	some o in rayservices
	not autoscaled(o.spec.rayClusterConfig)
}

autoscaled(c) if {
	c.enableInTreeAutoscaling == true
	c.autoscalerOptions.version == "v2"
}

deny contains "ray-upgrade: upgradeStrategy.type must be said: NewCluster, None or NewClusterWithIncrementalUpgrade" if {
	some o in rayservices
	not object.get(o.spec, ["upgradeStrategy", "type"], "") in {"NewCluster", "None", "NewClusterWithIncrementalUpgrade"}
}

deny contains "ray-expiry: annotation ray.io/initializing-timeout: when it passes, no change in Git revives the RayService" if {
	some o in rayservices
	object.get(o.metadata, ["annotations", "ray.io/initializing-timeout"], null) != null
}

worker_containers contains {"group": x.g.groupName, "spec": x.g.template.spec, "c": c} if {
	some x in groups
	some c in x.g.template.spec.containers
}

deny contains sprintf("ray-readiness: group %s: a readiness probe of its own (/-/healthz, 5 s, 3 failures): KubeRay's takes a busy pod out at the first slow answer", [w.group]) if {
	some w in worker_containers
	not patient(w.c)
}

patient(c) if {
	c.readinessProbe.httpGet.path == "/-/healthz"
	c.readinessProbe.timeoutSeconds >= 5
	c.readinessProbe.failureThreshold >= 3
}

deny contains sprintf("ray-drain: group %s: a preStop hook that drains the node, and a grace period above its time", [w.group]) if {
	some w in worker_containers
	not drains(w)
}

drains(w) if {
	command := w.c.lifecycle.preStop.exec.command
	some i
	command[i] == "--within"
	w.spec.terminationGracePeriodSeconds >= to_number(command[i + 1]) + 20
}

deny contains sprintf("ray-gpu: group %s: GPU, selector pool: gpu and toleration of nvidia.com/gpu belong together", [w.group]) if {
	some w in worker_containers
	count({x | some x in [wants_gpu(w.c), on_gpu(w.spec), tolerates_gpu(w.spec)]}) > 1
}

wants_gpu(c) if object.get(c, ["resources", "limits", "nvidia.com/gpu"], null) != null
else := false

on_gpu(spec) if object.get(spec, ["nodeSelector", "pool"], "") == "gpu"
else := false

tolerates_gpu(spec) if {
	some t in object.get(spec, "tolerations", [])
	t.key == "nvidia.com/gpu"
	t.value == "present"
	t.effect == "NoSchedule"
} else := false

# Serve's own configuration, a string.
serve_configs contains {"of": o, "c": yaml.unmarshal(o.spec.serveConfigV2)} if {
	some o in rayservices
}

deny contains sprintf("ray-serve-config: RayService %s has none, or none with one application at /", [o.metadata.name]) if {
	some o in rayservices
	not served(o)
}

served(o) if {
	some s in serve_configs
	s.of == o
	count(s.c.applications) == 1
	s.c.applications[0].route_prefix == "/"
}

deny contains "ray-serve-port: http_options.port must be the workers' port serve, on every address" if {
	some s in serve_configs
	some w in worker_containers
	some p in w.c.ports
	p.name == "serve"
	not right_port(s.c.http_options, p.containerPort)
}

right_port(h, port) if {
	h.port == port
	h.host == "0.0.0.0"
}

deny contains "ray-gpu-surge: upgrade in place on one GPU: replicas must share it (num_gpus 0.5 or less), or a replacement waits for ever" if {
	some s in serve_configs
	s.of.spec.upgradeStrategy.type == "None"
	some w in worker_containers
	wants_gpu(w.c) == true
	object.get(s.c.applications[0].deployments[0], ["ray_actor_options", "num_gpus"], 1) > 0.5
}

deny contains sprintf("ray-device: the application's device is %v, but there is %s group with a GPU", [device, ["no", "a"][n]]) if {
	some s in serve_configs
	device := s.c.applications[0].args.device
	gpus := {w.group | some w in worker_containers; wants_gpu(w.c) == true}
	n := min([count(gpus), 1])
	(device == "gpu") != (n == 1)
}
