# Two commands do everything, from a fresh clone:
#
#   make train   sets up .venv and trains: MiniHack, a judge, a report (about ten minutes)
#   make test    sets up .venv and runs every check and test
#
# Settings of a run: make train minutes=3 seed=7. Arguments of the others: make test ARGS="tests/envs -x".
# Another interpreter or place: make test PYTHON=python3.12 VENV=/tmp/guerdon-venv.

VENV ?= .venv
PYTHON ?=
ARGS ?=
BIN := $(VENV)/bin
# What else was set on the command line, quoted for the shell: settings of a run.
TOLD := $(foreach _,$(.VARIABLES),$(if $(filter command,$(origin $_)),$_))
SETTINGS := $(foreach _,$(filter-out VENV PYTHON ARGS,$(TOLD)),'$_=$(subst ','\'',$(value $_))')

# Ray starts many processes, and where this is set each of them compiles every module anew: twice the time of a test.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help train test check unit learning learning-minihack vllm docs clean

help:
	@echo "make train     set up and train with the default recipe; key=value overrides it"
	@echo "make test      set up and run every check and test"
	@echo "make check     ruff, mypy and the rules of the house"
	@echo "make unit      the fast tests without Ray, on all cores: half a minute to a minute and a quarter on two"
	@echo "make learning  tests that train until a return is reached, many minutes"
	@echo "make learning-minihack  the experiment behind docs/results/learning-minihack.json, an hour on two cores"
	@echo "make vllm      tests of the vLLM judge, with vLLM for CPUs in an environment of its own"
	@echo "make docs      the documentation as a site, in site/"
	@echo "make clean     remove $(VENV) and caches; runs/ stays"

train: $(VENV)/.ready
	@$(BIN)/guerdon train $(ARGS) $(SETTINGS)

test: $(VENV)/.ready-dev
	@.ci/test $(BIN) $(ARGS)

check: $(VENV)/.ready-dev
	@.ci/check $(BIN)
	@$(BIN)/python -m pytest -q tests/house

unit: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest -q -n auto --dist worksteal --hypothesis-profile=quick -m "not (cluster or chaos or learning or attacks or slow)" $(ARGS)

learning: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest -q -m learning $(ARGS)

# Stamps: set-up runs again only when what it depends on has changed.
$(VENV)/.ready: pyproject.toml constraints.txt .ci/setup
	@PYTHON="$(PYTHON)" .ci/setup $(VENV) .
	@touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt .ci/setup
	@PYTHON="$(PYTHON)" .ci/setup $(VENV) ".[dev]"
	@touch $@ $(VENV)/.ready

learning-minihack: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks.learning_minihack $(ARGS)

vllm:
	@.ci/vllm $(VENV)-vllm $(ARGS)

docs: $(VENV)/.ready-dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "open site/index.html"

clean:
	rm -rf $(VENV) build site guerdon.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find actors benchmarks cluster envs examples learners pipelines rewards tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
