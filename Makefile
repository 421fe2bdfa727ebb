# Everything goes through a virtual environment in .venv; nothing else on the machine is changed.
#   make run PYTHON=python3.12     which Python makes .venv, when it is first made
#   make run ARGS="photo.jpg"      arguments of the program, of pytest, or of the benchmarks
#   make test EXTRAS=reference     further optional dependencies of pyproject.toml, separated by commas
#   make run PIP_ARGS="..."        further options of pip install

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?=
ARGS ?=
EXTRAS ?=
PIP_ARGS ?=
CANDIDATES := $(or $(PYTHON),python3 python3.12 python3.13 python3.11 python3.10 python)

# Installing again is needed only when one of these changes: the rest is used in place.
BUILD_INPUTS := pyproject.toml hatch_build.py $(wildcard deeplab_studio/crf/kernel/*)

comma := ,
join_extras = $(if $(1)$(EXTRAS),[$(1)$(if $(1),$(if $(EXTRAS),$(comma)))$(EXTRAS)])
stamp = $(VENV)/.installed-$(1)$(if $(EXTRAS),-$(subst $(comma),-,$(EXTRAS)))
install = $(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --editable ".$(call join_extras,$(1))"

.PHONY: help run test develop lint typecheck format bench

help:
	@echo "make run        set everything up and open the program (ARGS=\"photo.jpg folder\")"
	@echo "make test       set everything up and run the tests (ARGS=\"-k brush\")"
	@echo "make develop    set up all tools of a developer, and nothing more"
	@echo "make lint       check style; make format repairs it"
	@echo "make typecheck  check types"
	@echo "make bench      list the benchmarks; run one with ARGS=\"startup\""

run: $(call stamp,run)
	@$(PY) main.py $(ARGS)

test: $(call stamp,test)
	@QT_QPA_PLATFORM=offscreen $(PY) -c 'import sys; from deeplab_studio.app.preflight import check; sys.exit(check())'
	QT_QPA_PLATFORM=offscreen $(PY) -m pytest -n auto --dist worksteal $(ARGS)

develop: $(call stamp,dev)

lint: $(call stamp,dev)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(call stamp,dev)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

typecheck: $(call stamp,dev)
	$(PY) -m mypy

bench: $(call stamp,run)
	$(PY) -m benchmarks $(ARGS)

$(call stamp,run): $(BUILD_INPUTS) $(PY)
	@echo "Installing what DeepLab Studio needs into $(VENV) (some minutes the first time)."
	@$(call install,)
	@touch $@

$(call stamp,test): $(BUILD_INPUTS) $(PY)
	@echo "Installing what DeepLab Studio and its tests need into $(VENV) (some minutes the first time)."
	@$(call install,test)
	@touch $@ $(call stamp,run)

$(call stamp,dev): $(BUILD_INPUTS) $(PY)
	@echo "Installing what DeepLab Studio, its tests and its checks need into $(VENV) (some minutes the first time)."
	@$(call install,dev)
	@touch $@ $(call stamp,run) $(call stamp,test)

# The interpreter is a link: when the Python it leads to was removed, it counts as absent and .venv is made anew.
$(PY):
	@ok='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))'; unfit=; \
	for candidate in $(CANDIDATES); do \
	    "$$candidate" -c "$$ok" >/dev/null 2>&1 || continue; \
	    if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	        echo "Making $(VENV) with $$candidate ($$("$$candidate" --version))."; \
	        exec "$$candidate" -m venv --clear $(VENV); \
	    fi; \
	    unfit="$$unfit $$candidate"; \
	done; \
	if [ -n "$$unfit" ]; then \
	    echo "Python is here ($${unfit# }) but cannot make virtual environments: its modules venv and ensurepip are a package of their own." >&2; \
	    echo "  Debian, Ubuntu:  sudo apt-get install python3-venv    (for a Python besides the system's: python3.12-venv)" >&2; \
	else \
	    echo "DeepLab Studio needs Python 3.10 to 3.13, and $(if $(PYTHON),$(PYTHON) is not one,none of $(CANDIDATES) is one)." >&2; \
	    echo "  Debian, Ubuntu:  sudo apt-get install python3 python3-venv" >&2; \
	    echo "  Fedora:          sudo dnf install python3.12" >&2; \
	    echo "  macOS:           brew install python@3.12" >&2; \
	    echo "A Python elsewhere is used with: make run PYTHON=/path/to/python3.12" >&2; \
	fi; \
	exit 1
