# SPDX-License-Identifier: Apache-2.0
# The platform's verbs, by the names that its users know. Each takes DRY_RUN=1: print the commands, run none.
PLATFORM = python=$$(scripts/venv.sh platform platform/requirements.txt) && DRY_RUN="$(DRY_RUN)" FILE="$(FILE)" CONFIRM="$(CONFIRM)" "$$python" scripts/platform
PLATFORM_VERBS = env-check bootstrap-init bootstrap-plan bootstrap-apply init plan plan-save apply-plan creds \
  terraform-destroy flux-bootstrap flux-vars flux-reconcile flux-keygen flux-git-secret-ssh flux-apply flux-wait \
  flux-up sops-init sops-verify sops-encrypt sops-edit sops-stale sops-rotate

.PHONY: $(PLATFORM_VERBS) destroy tools test-platform lock pin-digests
$(PLATFORM_VERBS):
	@$(PLATFORM) $@

env-check: ## Check the entries of .env: what is missing, malformed, and where each is used
bootstrap-init: ## State bucket, keys, registry: initialise Terraform
bootstrap-plan: ## State bucket, keys, registry: what would be made, what exists and is adopted
bootstrap-apply: ## State bucket, keys, registry: make them
init: ## Cluster: initialise Terraform
plan: ## Cluster: what would change
plan-save: ## Cluster: save the plan; its summary and cost
apply-plan: ## Cluster: carry the saved plan out
creds: ## Point kubectl at the cluster
terraform-destroy: ## Destroy the cluster and its network; keys, state and images stay (alias destroy)
flux-bootstrap: ## Install Flux and commit it to the fork
flux-vars: ## Hand the cluster the values that Kustomizations substitute
flux-reconcile: ## Make Flux look at Git now
flux-keygen: ## Make the deploy key that Flux reads the fork with
flux-git-secret-ssh: ## Give the cluster that key
flux-apply: ## Apply the committed Flux
flux-wait: ## Wait until everything that Flux applies is ready
flux-up: ## Flux from the committed manifests: key, values, apply, wait, reconcile
sops-init: ## Write .sops.yaml, the rules of which key encrypts which file
sops-verify: ## Look for Secrets in clear text, in history too
sops-encrypt: ## Encrypt FILE=path/to/name.secret.yaml
sops-edit: ## Edit an encrypted FILE=...
sops-stale: ## Ask KMS which files need an old version of their key
sops-rotate: ## Re-encrypt every file by the primary version

destroy: terraform-destroy

tools: ## Build the tools of platform/tools.lock once (TOOLS="sops age" for some), download the modules of modules.lock
	@scripts/tools.sh $(TOOLS)
	@$(if $(TOOLS),,scripts/modules.sh >/dev/null)

test-platform: ## Terraform, secrets, front door: all tests whose tools are there
	@scripts/test-platform.sh

lock: ## On a networked machine: write .terraform.lock.hcl of both roots
	@scripts/lock.sh

pin-digests: ## On a networked machine: write the digests of the images that manifests name
	@scripts/pin-digests.sh
