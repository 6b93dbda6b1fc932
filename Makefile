# make run · make test · make lint · make bench: each works alone, first, with only Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CONTAINER ?= $(shell command -v podman || command -v docker || echo docker)
CONTAINER_BUILD_FLAGS ?= $(if $(findstring podman,$(CONTAINER)),--format docker)
IMAGE ?= softkv
DEMO ?= library,videos,python,unicode

.DEFAULT_GOAL := run
.PHONY: install run test lint format bench image clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "softkv needs Python 3.11 ($(PYTHON) was not found): install it, or say PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(VENV)/.installed

run: install
	$(BIN)/softkv serve --demo $(DEMO)

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks

# docker/README.md says where torch comes from, and what the build arguments are.
image:
	$(CONTAINER) build $(CONTAINER_BUILD_FLAGS) -t $(IMAGE) -f docker/Dockerfile \
	  --build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL --build-arg TORCH_BUILD --build-arg EXTRAS .

clean:
	rm -rf $(VENV) build *.egg-info
