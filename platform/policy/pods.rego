# SPDX-License-Identifier: Apache-2.0
# Every pod that our manifests make, also inside a RayService. input.objects is one whole build.
# What may be absent is read by object.get: OPA takes an argument out of `not f(x.y)`, and an absent one would end the rule.
package main

import rego.v1

# pods: what makes it, and its spec
pods contains {"of": o, "name": sprintf("%s %s", [o.kind, o.metadata.name]), "labels": labels(o.spec.template), "spec": o.spec.template.spec} if {
	some o in input.objects
	o.kind in {"Deployment", "StatefulSet", "DaemonSet", "Job"}
}

pods contains {"of": o, "name": sprintf("RayService %s head", [o.metadata.name]), "labels": {"ray.io/node-type": "head"}, "spec": o.spec.rayClusterConfig.headGroupSpec.template.spec} if {
	some o in rayservices
}

pods contains {"of": o, "name": sprintf("RayService %s group %s", [o.metadata.name, g.groupName]), "labels": {"ray.io/node-type": "worker"}, "spec": g.template.spec} if {
	some o in rayservices
	some g in o.spec.rayClusterConfig.workerGroupSpecs
}

rayservices contains o if {
	some o in input.objects
	o.kind == "RayService"
}

labels(template) := object.get(template, ["metadata", "labels"], {})

containers(spec) := array.concat(object.get(spec, "initContainers", []), spec.containers)

deny contains sprintf("pod-identity: %s must run as a user that is not root, by number, under seccomp's RuntimeDefault", [p.name]) if {
	some p in pods
	not identity(p.spec)
}

identity(spec) if {
	spec.securityContext.runAsNonRoot == true
	spec.securityContext.runAsUser > 0
	spec.securityContext.seccompProfile.type == "RuntimeDefault"
}

deny contains sprintf("container-rights: %s, container %s: no privilege escalation, a read-only root, all capabilities dropped", [p.name, c.name]) if {
	some p in pods
	some c in containers(p.spec)
	not hardened(object.get(c, "securityContext", {}))
}

deny contains sprintf("container-rights: RayService %s: the autoscaler beside the head needs the same security context", [o.metadata.name]) if {
	some o in rayservices
	not hardened(object.get(o.spec.rayClusterConfig, ["autoscalerOptions", "securityContext"], {}))
}

hardened(s) if {
	s.allowPrivilegeEscalation == false
	s.readOnlyRootFilesystem == true
	"ALL" in s.capabilities.drop
	not s.capabilities.add
	not s.privileged
}

deny contains sprintf("host: %s must not share the node's network, processes or file system", [p.name]) if {
	some p in pods
	shares_host(p.spec)
}

shares_host(spec) if spec.hostNetwork

shares_host(spec) if spec.hostPID

shares_host(spec) if spec.hostIPC

shares_host(spec) if {
	some v in spec.volumes
	v.hostPath
}

deny contains sprintf("image-version: %s, container %s: %s needs a tag that is a version, or a digest", [p.name, c.name, c.image]) if {
	some p in pods
	some c in containers(p.spec)
	not regex.match(`^[^@]+:[a-z-]*v?[0-9][A-Za-z0-9._-]*(@sha256:[0-9a-f]{64})?$`, object.get(c, "image", ""))
}

deny contains sprintf("resources: %s, container %s: requests for cpu and memory, and a limit of memory", [p.name, c.name]) if {
	some p in pods
	some c in p.spec.containers
	not sized(object.get(c, "resources", {}))
}

sized(r) if {
	r.requests.cpu
	r.requests.memory
	r.limits.memory
}

deny contains sprintf("account-token: %s has no use for the API server and must not carry a token", [p.name]) if {
	some p in pods
	not contains(p.name, " head") # its autoscaler changes the RayCluster
	object.get(p.spec, "automountServiceAccountToken", true) != false
}

deny contains sprintf("service-links: %s: variables of Services (INFERD_PORT, say) would be read as options: enableServiceLinks: false", [p.name]) if {
	some p in pods
	object.get(p.spec, "enableServiceLinks", true) != false
}

deny contains sprintf("probes: %s, container %s: readiness and liveness, and not the same question", [p.name, c.name]) if {
	some p in pods
	p.of.kind in {"Deployment", "StatefulSet"}
	some c in p.spec.containers
	not probed(c)
}

probed(c) if {
	c.readinessProbe.httpGet
	c.livenessProbe.httpGet
	c.readinessProbe.httpGet.path != c.livenessProbe.httpGet.path
}

probed(c) if {
	c.readinessProbe.tcpSocket
	c.livenessProbe.tcpSocket
}

deny contains sprintf("probe-port: %s, container %s: a probe asks port %v, which the container does not have", [p.name, c.name, port]) if {
	some p in pods
	some c in p.spec.containers
	some probe in ["readinessProbe", "livenessProbe", "startupProbe"]
	some how in ["httpGet", "tcpSocket"]
	port := c[probe][how].port
	not port in {x | some q in c.ports; some x in [q.name, q.containerPort]}
}

deny contains sprintf("disruption-budget: %s: no PodDisruptionBudget selects its pods", [p.name]) if {
	some p in pods
	p.of.kind in {"Deployment", "RayService"}
	not contains(p.name, " head") # none with fault tolerance of the GCS
	not budgeted(p)
}

budgeted(p) if {
	some b in input.objects
	b.kind == "PodDisruptionBudget"
	b.metadata.namespace == p.of.metadata.namespace
	every k, v in b.spec.selector.matchLabels { p.labels[k] == v }
}

deny contains sprintf("disruption-budget-form: %s: RayClusters have no scale: minAvailable as a whole number", [b.metadata.name]) if {
	some b in input.objects
	b.kind == "PodDisruptionBudget"
	b.spec.selector.matchLabels["ray.io/node-type"]
	not is_number(object.get(b.spec, "minAvailable", null))
}

deny contains sprintf("spread: %s: spread its pods over nodes and zones", [p.name]) if {
	some p in pods
	p.of.kind in {"Deployment", "RayService"}
	not contains(p.name, " head")
	keys := {t.topologyKey | some t in p.spec.topologySpreadConstraints}
	keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
}

deny contains sprintf("autoscaled-replicas: Deployment %s: a ScaledObject owns its replicas; leave them out", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "Deployment"
	some s in input.objects
	s.kind == "ScaledObject"
	s.spec.scaleTargetRef.name == o.metadata.name
	o.spec.replicas
}

deny contains sprintf("rolling-update: Deployment %s: maxUnavailable 0, so that no request meets fewer servers than before", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "Deployment"
	object.get(o.spec, ["strategy", "rollingUpdate", "maxUnavailable"], 1) != 0
}
