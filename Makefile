# make help lists the targets. Everything installs what it lacks by itself: see scripts/setup.
SHELL := /bin/sh
PYTHON_BIN := .venv/bin/python
LAB := inventories/demo.yml
# Compiled tests are kept, whatever the caller's environment wants: each test worker would compile all of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-releases test-attacks test-users test-clients test-servers check lab-up lab-down bench faults faults-short fuzz mutations docs messages wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.venv/ready: requirements.lock pyproject.toml scripts/setup
	@scripts/setup

demo: .venv/ready ## Boot real hosts, provision them, publish DNS, prove that mail flows (root on Linux)
	@scripts/demo

.venv/opinion/ready: .venv/ready requirements-opinion.lock
	@echo "test: installing checkdmarc, in an environment of its own"
	@$(PYTHON_BIN) -m venv .venv/opinion
	@.venv/opinion/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-opinion.lock
	@touch $@

test: .venv/ready .venv/opinion/ready ## The tests; those on real hosts need root on Linux and are named when left out
	@scripts/test-tools
	@$(PYTHON_BIN) -m pytest tests/unit tests/agent -n 4 --dist worksteal -rs
	@$(PYTHON_BIN) scripts/lab_tests.py

test-releases: .venv/ready .venv/opinion/ready ## Debian 11, testing and Ubuntu's habits; the upgrade in place; a newcomer's hour; a domain that moves; the demo (root on Linux, 10 minutes)
	@scripts/test-tools
	@$(PYTHON_BIN) scripts/lab_tests.py releases

test-attacks: .venv/ready .venv/users/ready ## Attacks on real hosts, and three name servers at length; SHORT=1 for some of each (root on Linux)
	@scripts/test-tools users
	@$(PYTHON_BIN) scripts/lab_tests.py attacks $(if $(SHORT),short)

.venv/users/ready: .venv/ready requirements-users.lock
	@echo "test-users: installing a browser's driver, in a folder of its own"
	@rm -rf .venv/users
	@$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target .venv/users -r requirements-users.lock
	@touch $@

test-users: .venv/ready .venv/users/ready ## What users see, in a real browser, at a real terminal; SHORT=1: one release (root on Linux)
	@scripts/test-tools users
	@$(PYTHON_BIN) scripts/lab_tests.py users $(if $(SHORT),short)

.venv/clients/ready: .venv/ready requirements-clients.lock
	@echo "test-clients: installing marionette_driver, in a folder of its own"
	@rm -rf .venv/clients
	@$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target .venv/clients -r requirements-clients.lock
	@touch $@

test-clients: .venv/ready .venv/clients/ready ## A real Thunderbird, mutt and Alpine set up and used on real hosts; SHORT=1 for Debian 13 alone (root on Linux)
	@scripts/test-tools clients
	@$(PYTHON_BIN) scripts/lab_tests.py clients $(if $(SHORT),short)

test-servers: .venv/ready ## Servers that others build (Sendmail, Exim, Courier, procmail, Debian's own), judged by verify; SHORT=1: one of them, SERVER=exim (root on Linux)
	@scripts/test-tools
	@MAILPROV_SERVER=$(SERVER) $(PYTHON_BIN) scripts/lab_tests.py servers $(if $(SHORT),short)

check: .venv/ready ## Format, lint, types and the tests that need no hosts
	@$(PYTHON_BIN) -m ruff format --check .
	@$(PYTHON_BIN) -m ruff check .
	@$(PYTHON_BIN) -m mypy
	@$(PYTHON_BIN) -m pytest tests/unit tests/agent -n 4 --dist worksteal

bench: .venv/ready ## Measure beside Ansible, pyinfra and bare apt-get; FULL=1 for all rounds (root on Linux)
	@$(PYTHON_BIN) bench/run.py $(if $(FULL),--full)

faults-short: .venv/ready ## Each fault once, where a host changes its state (root on Linux, 3 minutes)
	@scripts/test-tools
	@$(PYTHON_BIN) scripts/lab_tests.py faults

faults: .venv/ready ## Every fault at every event of install, change and rollback: resumable, MINUTES=60, ONLY=wire (root on Linux)
	@$(PYTHON_BIN) -m tests.faults

lab-up: .venv/ready ## Boot the demo's hosts and nothing more
	@.venv/bin/mailprov lab up $(LAB)

lab-down: .venv/ready ## Take the demo's hosts away: nothing of them stays
	@.venv/bin/mailprov lab down $(LAB)

.venv/docs-ready: .venv/ready requirements-docs.lock
	@echo "docs: installing what the site is built with"
	@$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-docs.lock
	@touch $@

fuzz: .venv/ready ## Servers, records and messages of hypothesis against every client of verify, 100,000 of them (half an hour)
	@MAILPROV_FUZZ=$(or $(EXAMPLES),100000) $(PYTHON_BIN) -m pytest tests/unit/probe/fuzz -n 4 --dist worksteal -rs

mutations: .venv/ready ## Real hosts, broken in one way after the other: verify must say so each time; ONLY=name,name (root on Linux, 40 minutes)
	@scripts/test-tools
	@$(PYTHON_BIN) -m tests.mutations

docs: .venv/docs-ready ## Build the documentation as a site into build/site, and look at every page of it
	@LC_ALL=C.UTF-8 NO_MKDOCS_2_WARNING=1 $(PYTHON_BIN) -m mkdocs build --strict --clean
	@$(PYTHON_BIN) -m pytest tests/site

messages: .venv/docs-ready ## Collect the sentences for translators, and compile what they have translated
	@$(PYTHON_BIN) scripts/messages.py

wheel: .venv/ready ## Build the wheel into dist/
	@$(PYTHON_BIN) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove the virtual environment and what tools have cached
	@rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
