# make run · make test · make lint · make bench: each works alone, first, with only Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
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

# podman or docker, whichever is there; docker/README.md says where torch comes from and what the options are.
image:
	@tool=$$(command -v podman || command -v docker) || { echo "make image needs podman or docker: install one of them"; exit 1; }; \
	$$tool build $(CONTAINER_BUILD_FLAGS) -t softkv -f docker/Dockerfile .

clean:
	rm -rf $(VENV) build *.egg-info
