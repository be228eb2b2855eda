.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= omma:$(VERSION)
BUILDER ?= docker build
PYTHON_IMAGE ?= python:3.11-slim-bookworm
VARIANT ?= cpu

.PHONY: help
help: ## List what can be done
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: install
install: $(VENV)/base.stamp ## Make .venv with what Omma needs to run

.PHONY: dev
dev: $(VENV)/dev.stamp ## The same with what tests, load tests and the cluster on one machine need

.PHONY: demo
demo: install ## Ingest IMAGES (unset: a catalogue drawn here), search it three ways, serve it until Ctrl-C
	@$(BIN)/python -m services.standalone.demo $(IMAGES)

.PHONY: cluster
cluster: $(VENV)/dev.stamp ## Every service as a process on real Kafka, MinIO, PostgreSQL and Triton, 4 shards x 2 replicas, until Ctrl-C
	@$(BIN)/python -m deploy.local

.PHONY: chaos
chaos: $(VENV)/dev.stamp ## Every fault of a cluster, caused for real under load, and a ledger of what was acknowledged
	@$(BIN)/python -m loadtests.chaos

.PHONY: test
test: $(VENV)/dev.stamp ## Every test that this machine can run
	$(BIN)/pytest

.PHONY: test-training
test-training: $(VENV)/train.stamp ## The same with torch, so that the training tests run too
	$(BIN)/pytest

.PHONY: e2e-kubernetes
e2e-kubernetes: $(VENV)/dev.stamp ## The chart on the cluster of KUBECONFIG, with IMAGE on its nodes
	OMMA_TEST_IMAGE=$(IMAGE) $(BIN)/pytest tests/kubernetes

.PHONY: images
images: ## Build IMAGE with BUILDER (docker build, buildah build), its base PYTHON_IMAGE, VARIANT cpu or gpu
	$(BUILDER) -t $(IMAGE) -f deploy/images/Dockerfile --build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) --build-arg VARIANT=$(VARIANT) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD) .

.PHONY: sbom
sbom: $(VENV)/dev.stamp ## Write omma.cdx.json: the image's Python packages as CycloneDX, from the lock that it is built of
	$(BIN)/python scripts/sbom > omma.cdx.json

.PHONY: lint
lint: $(VENV)/dev.stamp ## ruff, mypy, import-linter, buf, generated code unchanged
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint
	@out=$$(mktemp -d) && proto/generate.sh "$$out" && diff -r -x __init__.py -x __pycache__ "$$out/omma/v1" omma/v1 && rm -r "$$out"

.PHONY: format
format: $(VENV)/dev.stamp ## Format and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: proto
proto: $(VENV)/dev.stamp ## Generate omma/v1 from proto/
	proto/generate.sh

.PHONY: lock
lock: $(VENV)/dev.stamp ## Pin the newest versions that pyproject.toml allows
	scripts/lock

.PHONY: page
page: ## Build web/ into the archive that the gateway serves; needs Node 20 or newer
	scripts/page

.PHONY: page-api
page-api: $(VENV)/dev.stamp ## Generate the page's client from the OpenAPI document
	@$(BIN)/python scripts/openapi 2>/dev/null > web/openapi.json && cd web && npm run -s api && rm openapi.json

.PHONY: reference
reference: $(VENV)/dev.stamp ## Write docs/settings.md, docs/metrics.md and deploy/compose/omma.env from the code
	$(BIN)/python scripts/reference
	$(BIN)/python -m deploy.compose.settings

.PHONY: api-docs
api-docs: $(VENV)/dev.stamp ## Write the answers in docs/API.md anew whose shape has changed
	$(BIN)/python -m tests.e2e.api_docs

.PHONY: clean
clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Omma needs Python 3.11 or newer: set PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python cannot make a virtual environment here. Install it: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/base.stamp: locks/base.txt | $(VENV)/bin/pip
	@echo "Installing Omma into $(VENV) (once) ..."
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -r locks/base.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: locks/dev.txt $(VENV)/base.stamp
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -r locks/dev.txt
	@touch $@

$(VENV)/train.stamp: locks/train.txt $(VENV)/dev.stamp
	@echo "Installing torch and what goes with it into $(VENV) (once, about 6 GB) ..."
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -r locks/train.txt
	@touch $@
