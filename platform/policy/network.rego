# SPDX-License-Identifier: Apache-2.0
# Who reaches what: namespaces, network policies, Services, gateways and routes.
package main

import rego.v1

deny contains sprintf("pod-security: Namespace %s: enforce restricted, at a version; an exception is named in platform/policy/network.rego", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "Namespace"
	o.metadata.labels["app.kubernetes.io/part-of"] == "inferd"
	not secured(o)
}

# What needs more, and why.
exceptions := {
	"monitoring": "privileged", # the node exporter reads the node
	"ingress-nginx": "baseline", # binds ports below 1024
}

secured(o) if {
	o.metadata.labels["pod-security.kubernetes.io/enforce"] == object.get(exceptions, o.metadata.name, "restricted")
	regex.match(`^v1\.[0-9]+$`, o.metadata.labels["pod-security.kubernetes.io/enforce-version"])
	o.metadata.labels["pod-security.kubernetes.io/warn"] == "restricted"
}

policies contains o if {
	some o in input.objects
	o.kind == "NetworkPolicy"
}

deny contains sprintf("default-deny: namespace %s: a policy that selects every pod and opens nothing, both ways", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "Namespace"
	o.metadata.name in {"ray", "inferd"}
	not denied(o.metadata.name)
}

denied(ns) if {
	some p in policies
	p.metadata.namespace == ns
	p.spec.podSelector == {}
	{t | some t in p.spec.policyTypes} == {"Ingress", "Egress"}
	not p.spec.ingress
	not p.spec.egress
}

deny contains sprintf("open-policy: NetworkPolicy %s/%s lets everybody in on every port", [p.metadata.namespace, p.metadata.name]) if {
	some p in policies
	some rule in p.spec.ingress
	not rule.from
	not rule.ports
}

deny contains sprintf("open-policy: NetworkPolicy %s/%s lets its pods go anywhere", [p.metadata.namespace, p.metadata.name]) if {
	some p in policies
	some rule in p.spec.egress
	not rule.to
}

deny contains sprintf("ray-ports: NetworkPolicy %s/%s opens port %v of Ray to namespace selector %v", [p.metadata.namespace, p.metadata.name, port, object.get(peer, ["namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"], "?")]) if {
	some p in policies
	p.metadata.namespace == "ray"
	some rule in p.spec.ingress
	some peer in rule.from
	peer.namespaceSelector
	some q in object.get(rule, "ports", [{"port": "every"}])
	port := q.port
	port in {"every", "gcs-server", "dashboard", "client", 6379, 8265, 10001}
	object.get(peer, ["namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"], "") != "kuberay-system"
}

deny contains sprintf("exposed-service: Service %s/%s: ClusterIP; the world comes through the Gateway", [o.metadata.namespace, o.metadata.name]) if {
	some o in input.objects
	o.kind == "Service"
	object.get(o.spec, "type", "ClusterIP") != "ClusterIP"
}

deny contains "exposed-service: the head's Service must be ClusterIP" if {
	some o in rayservices
	object.get(o.spec.rayClusterConfig.headGroupSpec, "serviceType", "ClusterIP") != "ClusterIP"
}

gateways contains o if {
	some o in input.objects
	o.kind == "Gateway"
}

deny contains sprintf("gateway-tls: Gateway %s, listener %s: backends are reached by HTTPS only", [o.metadata.name, l.name]) if {
	some o in gateways
	some l in o.spec.listeners
	not encrypted(l)
	l.allowedRoutes.namespaces.from != "Same"
}

encrypted(l) if {
	l.protocol == "HTTPS"
	l.tls.mode == "Terminate"
	count(l.tls.certificateRefs) > 0
}

deny contains sprintf("gateway-all: Gateway %s, listener %s: name the namespaces whose routes it takes", [o.metadata.name, l.name]) if {
	some o in gateways
	some l in o.spec.listeners
	object.get(l, ["allowedRoutes", "namespaces", "from"], "All") == "All"
}

deny contains sprintf("gateway-rate: Gateway %s: no BackendTrafficPolicy limits the rate", [o.metadata.name]) if {
	some o in gateways
	o.spec.gatewayClassName == "envoy"
	not limited(o)
}

limited(g) if {
	some o in input.objects
	o.kind == "BackendTrafficPolicy"
	some t in o.spec.targetRefs
	t.name == g.metadata.name
	count(o.spec.rateLimit.local.rules) > 0
}

deny contains sprintf("gateway-key: Gateway %s: no SecurityPolicy asks for a key; only ACCESS: open may be without", [o.metadata.name]) if {
	some o in gateways
	o.spec.gatewayClassName == "envoy"
	not endswith(input.build, "/open")
	not endswith(input.build, "/base")
	not keyed(o)
}

keyed(g) if {
	some o in input.objects
	o.kind == "SecurityPolicy"
	some t in o.spec.targetRefs
	t.kind == "Gateway"
	t.name == g.metadata.name
	count(o.spec.apiKeyAuth.credentialRefs) > 0
}

# What may be reached from outside.
public := {"/infer", "/readyz", "/info"}

deny contains sprintf("route-path: HTTPRoute %s: %v is not a path for the world; exact paths of %v only", [o.metadata.name, object.get(m, ["path", "value"], "/"), public]) if {
	some o in input.objects
	o.kind == "HTTPRoute"
	some r in o.spec.rules
	count(object.get(r, "backendRefs", [])) > 0
	some m in object.get(r, "matches", [{}])
	not exact(m)
}

exact(m) if {
	m.path.type == "Exact"
	m.path.value in public
}

deny contains sprintf("route-path: Ingress %s: %v (%v) is not a path for the world", [o.metadata.name, p.path, p.pathType]) if {
	some o in input.objects
	o.kind == "Ingress"
	some r in o.spec.rules
	some p in r.http.paths
	not exact({"path": {"type": p.pathType, "value": p.path}})
}

deny contains sprintf("route-tls: Ingress %s needs TLS and a redirect to it", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "Ingress"
	not ingress_tls(o)
}

ingress_tls(o) if {
	count(o.spec.tls) > 0
	o.metadata.annotations["nginx.ingress.kubernetes.io/ssl-redirect"] == "true"
}

deny contains sprintf("health-check: backend %s/%s on a GKE Gateway without a HealthCheckPolicy: GKE asks GET /", [o.metadata.namespace, b.name]) if {
	some g in gateways
	startswith(g.spec.gatewayClassName, "gke-")
	some o in input.objects
	o.kind == "HTTPRoute"
	some r in o.spec.rules
	some b in r.backendRefs
	not checked(o.metadata.namespace, b.name)
}

checked(ns, service) if {
	some o in input.objects
	o.kind == "HealthCheckPolicy"
	o.metadata.namespace == ns
	o.spec.targetRef.name == service
}
