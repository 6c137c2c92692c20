# netlab: every command that this project is used or checked with. `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z][a-z.-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The virtual environment follows the lock files: what runs, and on top of it what tests, lints and draws.
$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "netlab needs Python 3.11 or later: try 'make PYTHON=python3.12 ...'" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q app/hftp netlab  # the servers of a lab start from it, and write nothing
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	@echo "adding to $(VENV) what tests and checks need (once)"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready ## Make the virtual environment from the lock file

.PHONY: setup-dev
setup-dev: $(VENV)/.ready-dev ## Make it with what tests, checks and charts need

BACKEND ?= netns

.PHONY: netlab
netlab: setup ## Run the bind-address experiment: who can reach what, and why (BACKEND=netns|compose|auto)
	@$(BIN)/netlab run bind-address --backend $(BACKEND) $(ARGS)

.PHONY: clients
clients: setup-dev ## Compare how one server can attend several clients (ARGS=--quick: in seconds)
	@mkdir -p build
	@$(BIN)/netlab clients --charts build/charts --json build/clients.json $(ARGS)

.PHONY: bench
bench: setup ## Measure what must hold, beside nginx and others, in minutes (ARGS=--smoke: in seconds)
	@$(BIN)/python -m tests.bench --charts build/charts --json build/bench.json $(ARGS)

ANSIBLE := build/ansible

$(ANSIBLE)/bin/ansible-playbook:
	@echo "setting up $(ANSIBLE), to compare with (once)"
	@$(PYTHON) -m venv $(ANSIBLE)
	@$(ANSIBLE)/bin/python -m pip install --quiet --disable-pip-version-check ansible-core

.PHONY: bench-ssh
bench-ssh: setup-dev $(ANSIBLE)/bin/ansible-playbook ## Deploy to fifty machines, and scan them, beside Ansible (sshd)
	@$(BIN)/python -m tests.ssh.bench --ansible $(abspath $(ANSIBLE))/bin/ansible-playbook $(ARGS)

.PHONY: bench-wheel
bench-wheel: setup-dev ## Time the wheel in a new environment: --help, and the first green and red test
	@$(BIN)/python -m tests.wheel.bench

.PHONY: picture
picture: setup-dev ## Draw the README's picture of the matrix anew
	@$(BIN)/netlab run bind-address --backend netns --svg docs/matrix.svg >/dev/null

.PHONY: test
test: setup-dev ## Run every test that this machine can run, two files at a time (ARGS=-n0: one)
	@$(BIN)/python -m pytest -n 2 $(ARGS)

$(VENV)/.ready-fuzz: $(VENV)/.ready-dev
	@echo "adding to $(VENV) what guides the fuzzing (once)"
	@$(INSTALL) --no-build-isolation -e '.[fuzz]' && touch $@ || echo "without it, then" >&2

SECONDS ?= 60
.PHONY: fuzz-hftp
fuzz-hftp: $(VENV)/.ready-fuzz ## Fuzz the HFTP parser, session and client (SECONDS=60), guided by coverage with atheris
	@BIN=$(BIN) SECONDS=$(SECONDS) tests/fuzz/run.sh

.PHONY: hftp.pyz
hftp.pyz: ## Build server and client as one file that any Python from 3.9 on runs
	@PYTHONPATH=app $(PYTHON) -m hftp.pyz $@

.PHONY: debian-11
debian-11: ## Make a tree with the oldest Python that hftp.pyz runs on, for its tests (Debian; root)
	@$(PYTHON) docker/old_release.py build/$@

.PHONY: lint
lint: setup-dev ## Check style and types (ruff, mypy --strict)
	@$(BIN)/ruff format --check app docker netlab tests
	@$(BIN)/ruff check app docker netlab tests
	@$(BIN)/mypy
	@cd docker && ../$(BIN)/mypy --strict --config-file= *.py

.PHONY: format
format: setup-dev ## Rewrite the code in the project's format
	@$(BIN)/ruff format app docker netlab tests
	@$(BIN)/ruff check --fix app docker netlab tests

.PHONY: engine
engine: ## Start a private container engine, where there is none (Debian, Ubuntu; root)
	@$(PYTHON) docker/engine.py up $(ARGS)

.PHONY: engine-down
engine-down: ## End that engine and remove it (ARGS=--keep: but for its images; ARGS=--purge: its packages, too)
	@$(PYTHON) docker/engine.py down $(ARGS)

.PHONY: base-image
base-image: ## Build a base image from the distribution's packages, where no registry can be reached (root)
	@$(PYTHON) docker/base_image.py

.PHONY: machine-image
machine-image: ## Build an image of a lab machine, with sshd, cron and systemd, for tests (root)
	@$(PYTHON) docker/base_image.py machine

.PHONY: images
images: ## Build the images hftp-server and hftp-client (BASE=... for another base)
	@PYTHON=$(PYTHON) BASE=$(BASE) docker/images.sh

LOCK := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/python -m piptools compile --quiet --upgrade --generate-hashes \
  --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --all-build-deps

.PHONY: lock
lock: setup-dev ## Write the lock files anew from pyproject.toml
	@$(BIN)/python -m piptools --version >/dev/null 2>&1 || $(INSTALL) pip-tools
	@$(LOCK) --extra compose --extra ssh --output-file requirements.lock pyproject.toml
	@$(LOCK) --extra dev --output-file requirements-dev.lock pyproject.toml

.PHONY: clean
clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	@find app docker netlab tests -name __pycache__ -type d -prune -exec rm -rf {} +
