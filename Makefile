# make demo                    a drive through a made-up town, localized by the node over DDS: table and pictures in demo/
# make demo-real SAMPLES=DIR   the same node on real samples: table and pictures in demo-real/
# make test                    lint, types and tests
# make venv                    only the set-up of the demo
# All set-up happens here, into .venv, and only once; PYTHON=… picks the Python, VENV=… another place.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.NOTPARALLEL:

# The environment stands alone: a ROS 2 that the shell has sourced, or another environment's, must not leak in.
unexport PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE

VENV ?= .venv
JOBS ?= auto
SAMPLES ?= ../shared/real_samples
BIN := $(VENV)/bin
RUN := $(BIN)/python

# What is installed is stamped with the hash of what asked for it, so that a change there, and only that, installs again.
hash = $(shell cat $(1) 2>/dev/null | cksum | tr -d ' ')
DEMO_FILES := requirements/constraints.txt requirements/core.txt requirements/ros.txt requirements/demo.txt
TEST_FILES := $(DEMO_FILES) requirements/training.txt requirements/test.txt
MSG_FILES := $(wildcard msg/*.msg cmake/*.py cmake/*.cmake cmake/tf2_msgs/*.* cmake/tf2_msgs/msg/*.msg) CMakeLists.txt
DEMO_STAMP := $(VENV)/.installed-demo-$(call hash,$(DEMO_FILES))
TEST_STAMP := $(VENV)/.installed-test-$(call hash,$(TEST_FILES))
MSG_STAMP := $(VENV)/.interfaces-$(call hash,$(MSG_FILES) requirements/ros.txt requirements/constraints.txt)

PIP := $(BIN)/pip --disable-pip-version-check --require-virtualenv

.PHONY: help demo demo-real test lint types venv clean

help:
	@sed -n 's/^# //p' Makefile | head -5

demo: venv
	$(RUN) -m training.demo --out demo

demo-real: venv
	@test -d "$(SAMPLES)" || { echo "make demo-real: no folder $(SAMPLES); say where the samples are: make demo-real SAMPLES=DIR" >&2; exit 2; }
	$(RUN) -m training.demo_real --samples "$(SAMPLES)" --out demo-real

# All three run, and each failure counts.
test: $(TEST_STAMP) $(MSG_STAMP)
	@status=0; \
	echo "== ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check . || status=1; \
	echo "== mypy"; $(BIN)/mypy || status=1; \
	echo "== pytest"; OMP_NUM_THREADS=1 $(RUN) -m pytest -m "not slow" -n $(JOBS) --maxprocesses 4 || status=1; \
	exit $$status

venv: $(DEMO_STAMP) $(MSG_STAMP)

$(RUN):
	@cmake/make_venv.sh "$(VENV)" "$(PYTHON)"

# Other stamps in VENV are of older requirements.
$(DEMO_STAMP): | $(RUN)
	@echo "Installing the demo's packages into $(VENV) (torch is large) …"
	$(PIP) install -r requirements/demo.txt
	@rm -f $(VENV)/.installed-demo-*; touch $@

$(TEST_STAMP): | $(RUN)
	@echo "Installing the tests' packages into $(VENV) (torch is large) …"
	$(PIP) install -r requirements/test.txt
	@rm -f $(VENV)/.installed-*; touch $@ $(DEMO_STAMP)

$(MSG_STAMP): | $(DEMO_STAMP)
	@echo "Generating the ROS 2 messages …"
	$(RUN) cmake/install_interfaces.py
	@rm -f $(VENV)/.interfaces-*; touch $@

clean:
	rm -rf $(VENV) demo demo-real
