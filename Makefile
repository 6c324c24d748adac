# make demo   environment, then the whole pipeline on the generated demo corpus
# make test   the same environment plus test extras, then the test suite
# make test-arm   the demo's bundle on an emulated Raspberry Pi 4 (Debian, amd64; a minute, 150 MB once)
# make lint   style and types      make bench   benchmarks      make clean   the environment goes
PYTHON ?= python3
VENV ?= .venv
INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Stages call `python`: put the environment's first.
RUN = PATH="$(abspath $(VENV))/bin:$$PATH"

.PHONY: demo test test-arm lint bench clean

demo: $(VENV)/.demo
	$(RUN) dvc repro
	@echo
	@echo "report  $(CURDIR)/reports/demo/report.html"
	@echo "model   $(CURDIR)/models/demo/bundle/model.int8.onnx"

test: $(VENV)/.test
	$(RUN) pytest --numprocesses 2 --dist loadfile

test-arm: $(VENV)/.demo
	$(RUN) PYTHON=python tests/arm.sh

lint: $(VENV)/.test
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

bench: $(VENV)/.test
	$(INSTALL) -e '.[test,bench]'
	$(RUN) python benchmarks/run.py

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"expected Python 3.11 or newer, got {sys.version.split()[0]}; run: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (PyTorch is several GB; once)"
	$(INSTALL) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(INSTALL) -e '.[test]'
	@touch $@
