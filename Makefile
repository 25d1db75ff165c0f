# SPDX-License-Identifier: GPL-3.0-or-later
# Every target does its own set-up: a virtual environment in .venv, and (as root on Debian) the system's programs.

LINK := build/ansible_collections/hostwire/linux
BIN := .venv/bin
ENGINE_SOURCES := $(shell find plugins/module_utils -name '*.py' ! -name 'ansible_*.py')
# molecule and ansible-lint start programs of their own virtual environment by name.
export PATH := $(CURDIR)/$(BIN):$(PATH):/usr/sbin:/sbin

.PHONY: help lab lab-gone test test-quick bench lint engine clean
.DEFAULT_GOAL := help

help:
	@echo 'make lab         simulated hosts on this machine, the playbook site.yml on them, and who reaches whom (no root needed)'
	@echo 'make lab-gone    take the simulated hosts away'
	@echo 'make test        every check there is'
	@echo 'make test-quick  ruff, mypy, and the unit and kernel tests that are quick: under two minutes'
	@echo 'make bench       the benchmark, written to docs/benchmark.md'
	@echo 'make lint        every linter, and the sanity tests of ansible-test'
	@echo 'make engine      build/engine.pyz: the engine as one file that python3 runs without Ansible'
	@echo 'make clean       remove what the other targets made in this directory'

lab: .venv/.controller $(LINK)
	tests/setup/programs lab
	ansible-playbook playbooks/lab.yml
	ansible-playbook playbooks/site.yml

lab-gone: .venv/.controller $(LINK)
	ansible-playbook playbooks/lab.yml --extra-vars lab_state=absent

test: .venv/.tests $(LINK)
	tests/setup/programs test
	python tests/run.py

test-quick: .venv/.tests $(LINK)
	tests/setup/programs quick
	python tests/run.py ruff mypy quick

bench: .venv/.tests $(LINK)
	tests/setup/programs quick
	python tests/benchmark/bench.py --write docs/benchmark.md

lint: .venv/.tests $(LINK)
	tests/setup/programs test
	python tests/run.py ruff mypy repository lint sanity

engine: build/engine.pyz

# The package keeps its relative imports, so it may have any name; only the adapter to Ansible stays behind.
build/engine.pyz: Makefile $(ENGINE_SOURCES)
	rm -rf build/engine
	mkdir -p build/engine/hostwire
	cd plugins/module_utils && find . -name '*.py' ! -name 'ansible_*.py' -exec cp --parents {} ../../build/engine/hostwire/ \;
	printf 'import sys\n\ntry:\n    from hostwire.cli import main\nexcept KeyboardInterrupt:\n    sys.exit("hostwire: told to stop by SIGINT")\n\nsys.exit(main(sys.argv[1:]))\n' >build/engine/__main__.py
	python=$$(tests/setup/interpreter) && "$$python" -m zipapp build/engine --compress --python '/usr/bin/env python3' --output $@

.venv/bin/python:
	tests/setup/interpreter >/dev/null || tests/setup/programs lab
	python=$$(tests/setup/interpreter) && "$$python" -m venv --clear .venv

.venv/.controller: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

.venv/.tests: tests/requirements.txt .venv/.controller
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	touch $@

$(LINK):
	mkdir -p $(dir $@)
	ln -sfn ../../.. $@

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
