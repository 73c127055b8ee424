# make demo and make test are the commands of a newcomer, make test-all is that of CI; the others are their parts.
SHELL := /bin/sh
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SHELL_FILES := $(wildcard provision/sh/*.sh provision/sh/*/*.sh)
SCRIPTS := scripts/machine-setup scripts/demo scripts/molecule scripts/package scripts/release scripts/certify scripts/dependency-sets .ci/run

SUBMAKE := $(MAKE) --no-print-directory

# A run of all tests starts pytest a dozen times, and Python for each command of provision: keep compiled modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup machine demo test test-all check lint types fast sets package golden docs docs-site docs-serve screens molecule torture \
	locks bench bench-full bench-lint bench-misbehaving bench-processes bench-pulls bench-ssh release lock certify clean

# The virtual environment: provision and the tools of its developers. It needs Python with venv, and no root.
setup: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "setup: Python's venv is missing (Debian: python3-venv)" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q provision # as an installation does
	touch $@

# The packages that the lab and the checks need on a Debian machine; without root it reports the missing ones.
machine:
	scripts/machine-setup

# Set up the machine first: a fresh Debian has no venv.
demo: machine
	$(SUBMAKE) setup
	scripts/demo

# The checks, then each capability once on real hosts (tests/lab/chosen.yml): at most a quarter of an hour.
test: check
	$(BIN)/python -m tools.host_tests chosen

# Everything: make test, then all other tests on real hosts, the virtual machine, Molecule, the browser and the
# lowest and highest dependencies.
test-all: test
	$(BIN)/python -m tools.host_tests rest

check: machine
	$(SUBMAKE) setup
	$(SUBMAKE) --output-sync -j 2 lint types package docs-site fast

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	shellcheck $(SCRIPTS) provision/commands/shells/provision.bash
	shellcheck -s sh -e SC2154 $(SHELL_FILES)

types: setup
	$(BIN)/mypy

fast: setup
	$(BIN)/python -m pytest -m 'not lab and not browser and not thorough' -q -n auto --maxprocesses 4

# Install the lowest and the highest versions that pyproject.toml allows, and run the tests that use the dependencies.
sets: setup
	scripts/dependency-sets

# Build the wheel and the sdist, and check their metadata.
package: setup
	scripts/package $(VENV)/package
	$(BIN)/twine check --strict $(VENV)/package/*

# All files of a release, in dist/: wheel, sdist, SBOM, release notes and checksums. Uploads nothing. Two builds of one
# commit are identical byte for byte.
release: setup
	scripts/release

# Update the golden scripts, after a review of what changed in them.
golden: setup
	$(BIN)/python -m pytest -q tests/test_golden.py --update-golden

# The pages that are generated: the reference, a page for each lint rule, the table of distributions, the evidence.
docs: setup
	$(BIN)/python -m docsite.reference docs
	$(BIN)/python -m docsite.distributions docs evidence

# The documentation site, in .venv/site. A broken link or anchor fails the build.
docs-site: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

# Record the screens of the site on three hosts of the lab (Linux, root).
screens: setup
	$(BIN)/python -m docsite.screens

# Molecule's scenarios alone: on a Debian host, and on one with its own kernel.
molecule: setup
	scripts/molecule

# Runs that are interrupted at every step, on real hosts, in every way: N of them (default 300). And a virtual machine
# whose power is cut after every step, and whose clock jumps.
torture: setup
	$(BIN)/python -m pytest tests/lab/test_torture.py -s --timeout 0 --injections $(or $(N),300)

# Eight processes take one lock at once, in every shell, with flock(1) and without: N rounds (default 1,000).
locks: setup
	$(BIN)/python -m pytest -q tests/test_lock.py -s -k never_hold --timeout 0 --lock-rounds $(or $(N),1000)

# Evidence of every image of the lab, one host after the other (IMAGES="trixie el9 vm" selects, SOURCE=distribution takes
# the distribution's engine). Half an hour; `make docs` then writes the table.
certify: setup
	scripts/certify

bench: setup
	$(BIN)/python -m bench

# Compare with the peers (in a separate environment), case by case, with a table and a plot.
bench-full: setup
	$(BIN)/python -m bench.full

# 1,000 daemon.json files in one call of the linter.
bench-lint: setup
	$(BIN)/python -m bench.lint

# 1,000 names, of which a tenth misbehave: the cost for the others.
bench-misbehaving: setup
	$(BIN)/python -m bench.misbehaving

# One worker process compared with two: the CPU time for each host, and the hosts per second (simulated hosts).
bench-processes: setup
	$(BIN)/python -m bench.processes

# ssh's settings of 1,000 hosts, compared with as many `ssh -G`.
bench-ssh: setup
	$(BIN)/python -m bench.ssh_settings

# 20 hosts pull 50 MB from one registry, with a bound and without.
bench-pulls: setup
	$(BIN)/python -m bench.pulls

# Pin the newest versions that the project allows, for every Python from 3.11.0 on; the file names no host.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11.0 --upgrade --extra dev --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
