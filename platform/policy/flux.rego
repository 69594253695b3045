# SPDX-License-Identifier: Apache-2.0
# Flux's objects.
package main

import rego.v1

kustomizations contains o if {
	some o in input.objects
	startswith(o.apiVersion, "kustomize.toolkit.fluxcd.io/")
}

stages contains o if {
	some o in kustomizations
	o.spec.sourceRef.name == "flux-system"
	not o.metadata.name in {"flux-system", "cluster"}
}

deny contains sprintf("flux-retry: Kustomization %s: interval, retryInterval, timeout and prune must be said", [o.metadata.name]) if {
	some o in kustomizations
	some k in ["interval", "retryInterval", "timeout", "prune"]
	not has_key(o.spec, k)
}

deny contains sprintf("flux-wait: stage %s must wait for what it applies, or what depends on it comes too early", [o.metadata.name]) if {
	some o in stages
	not o.spec.wait == true
}

deny contains sprintf("flux-prune: stage %s must prune: what Git no longer has must go", [o.metadata.name]) if {
	some o in stages
	not o.spec.prune == true
}

deny contains sprintf("flux-decryption: stage %s cannot decrypt: one encrypted file would stop it and all that depend on it", [o.metadata.name]) if {
	input.cluster
	some o in stages
	object.get(o.spec, ["decryption", "provider"], "") != "sops"
}

deny contains sprintf("flux-depends: stage %s depends on %s, which is not there", [o.metadata.name, d.name]) if {
	input.cluster
	some o in stages
	some d in o.spec.dependsOn
	not d.name in {s.metadata.name | some s in stages}
}

needs[name] := {d.name | some d in object.get(o.spec, "dependsOn", [])} if {
	some o in stages
	name := o.metadata.name
}

deny contains sprintf("flux-cycle: stage %s depends on itself in the end", [name]) if {
	some name, next in needs
	some n in next
	name in graph.reachable(needs, {n})
}

deny contains sprintf("flux-health: stage %s applies a kind whose health Flux cannot tell: healthCheckExprs", [o.metadata.name]) if {
	some o in stages
	o.metadata.name in {"ray", "gateway", "routes"}
	count(object.get(o.spec, "healthCheckExprs", [])) == 0
}

deny contains sprintf("flux-health-failed: stage %s, %s: a state that cannot get well must be told at once (failed), not after the timeout", [o.metadata.name, e.kind]) if {
	some o in stages
	some e in o.spec.healthCheckExprs
	e.kind in {"RayService", "Gateway", "HTTPRoute", "SecurityPolicy"}
	not e.failed
}

deny contains sprintf("flux-health-generation: stage %s, %s: what was said of the former version must not do for this one: c.observedGeneration == metadata.generation", [o.metadata.name, e.kind]) if {
	some o in stages
	some e in o.spec.healthCheckExprs
	e.kind != "RayService" # it has status.observedGeneration, which Flux compares by itself
	some expression in [e.current, object.get(e, "failed", "observedGeneration == metadata.generation")]
	not contains(expression, "observedGeneration == metadata.generation")
}

deny contains sprintf("flux-api: %s %s: %s is no longer served", [o.kind, o.metadata.name, o.apiVersion]) if {
	some o in input.objects
	contains(o.apiVersion, "toolkit.fluxcd.io/")
	regex.match(`/v[0-9]+beta[0-9]+$`, o.apiVersion)
	o.kind != "Alert"
	o.kind != "Provider"
}

deny contains sprintf("source-pinned: GitRepository %s: a commit or a tag, not what a branch is today", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "GitRepository"
	o.metadata.name != "flux-system"
	object.get(o.spec, ["ref", "commit"], object.get(o.spec, ["ref", "tag"], "")) == ""
}

deny contains sprintf("source-pinned: OCIRepository %s: a tag that is a version, or a digest", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "OCIRepository"
	not pinned_oci(object.get(o.spec, "ref", {}))
}

pinned_oci(ref) if regex.match(`^v?[0-9]+\.[0-9]+\.[0-9]+`, ref.tag)

pinned_oci(ref) if startswith(ref.digest, "sha256:")

deny contains sprintf("source-pinned: HelmRelease %s: one version of the chart, no range", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "HelmRelease"
	not o.spec.chartRef
	not regex.match(`^v?[0-9]+\.[0-9]+\.[0-9]+$`, object.get(o.spec, ["chart", "spec", "version"], ""))
}

deny contains sprintf("helm-crds: HelmRelease %s: install.crds and upgrade.crds CreateReplace, or its CRDs stay at their first version", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "HelmRelease"
	some when in ["install", "upgrade"]
	object.get(o.spec, [when, "crds"], "") != "CreateReplace"
}

deny contains sprintf("helm-retry: HelmRelease %s: install and upgrade need a strategy or remediation, or one failure is the end", [o.metadata.name]) if {
	some o in input.objects
	o.kind == "HelmRelease"
	some when in ["install", "upgrade"]
	object.get(o.spec, [when, "strategy", "name"], null) == null
	object.get(o.spec, [when, "remediation", "retries"], null) == null
}
