# `make launch` shows the platform, `make test` checks a change, `make verify` proves the rest.
.PHONY: launch rehearse aws test verify emulator sdk sdk-table pictures scan permissions bench chaos mutation coverage first setup environments lint types clean lock
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
PIP := .venv/bin/python requirements/install.py
UV := $(PIP) --uv
PYTEST := $(BIN)/python -m pytest -n logical --dist loadgroup
# Most tests of `make verify` wait half of their time, for notebooks and deployments.
TWICE = $$($(BIN)/python -c 'import os; print(2 * os.cpu_count())')
RUN := PYTHONPATH=src:src/shared:emulator:emulator/tests:. $(BIN)/python
# npm's settings for where packages come from count, and none that would leave something out.
NPM := npm ci --loglevel=error --no-audit --no-fund --ignore-scripts --cache=.local/npm --logs-max=0 \
	--global=false --location=project --workspaces=false --dry-run=false --include=dev --bin-links \
	--package-lock --install-strategy=hoisted
# Everything that is written while working lies here, temporary files included.
TMP := .local/tmp
export TMPDIR := $(CURDIR)/$(TMP)
export UV_NO_CACHE := 1
# What textlint checks, except for what tools/prose.ignore lists: the pages, and files whose
# docstrings or descriptions become pages.
PAGES = $(shell find . \( -name '.?*' -o -name node_modules \) -prune -o -name '*.md' -print)
DESCRIBED = $(shell find src vending -name '*.py') template.yaml $(wildcard stacks/*.yaml product/versions/*.yaml)
# Calls to the embedded AWS go past a proxy.
export NO_PROXY := 127.0.0.1,localhost,$(or $(no_proxy),$(NO_PROXY))
export no_proxy := $(NO_PROXY)
# Settings of Python and Node.js that people have for other programs.
unexport NODE_ENV NODE_OPTIONS NODE_PATH VIRTUAL_ENV $(filter PYTHON%,$(.VARIABLES))
export SAM_CLI_TELEMETRY := 0

# Make, a shell or Python would split such a path, and a first line of a script holds 255 bytes.
ifneq (,$(shell p=$$(pwd -P; echo .); test $${#p} -le 200 || echo long; \
	p=$$(printf %s "$${p%??}" | LC_ALL=C tr -d '\200-\377'); \
	case $$p in (*[!A-Za-z0-9/._+@-]*) echo odd;; esac))
$(error The path of this clone is too long, or has a space or another character that its tools do not \
take: $(CURDIR). Move it to a path of at most 190 letters, digits and the characters ._+@-)
endif

launch: first
	@$(RUN) -m demo.launch $(FAULT)

# The same story on the AWS account that the shell is signed in to; it asks first.
rehearse: first
	@$(RUN) -m rehearsal $(if $(YES),--yes) --account '$(ACCOUNT)' \
		--parameters '$(PARAMETERS)' --clean '$(CLEAN)'

# The embedded AWS with the platform deployed, for you to use until Ctrl-C; FAULT, which make puts
# into the environment, has an alarm go off first.
aws: first
	@$(RUN) -m demo.aws

# Between two changes: style, types, and all tests that need no further tools and no minutes.
test: lint types
	@$(PYTEST) -m 'not verify' $(ARGS)

# The rest of the tests. They fail without Docker or Chromium, unless WITHOUT="docker browser" says
# to leave those tests out. What is then unproven is printed last.
verify: setup .scan-venv/.ready .jupyter-venv/.ready .aws-venv/.ready
	$(if $(filter-out docker browser,$(WITHOUT)),$(error WITHOUT takes docker, browser or both, not: $(WITHOUT)))
	@$(PYTEST) -n $(TWICE) -m verify --ignore=tests/sdk $(WITHOUT:%=--ignore=tests/%) $(ARGS)
	@$(foreach each,$(WITHOUT),echo 'verify: NOT PROVEN: what tests/$(each) holds, as WITHOUT says';)

# The embedded AWS's own tests alone, which need nothing of the platform.
emulator: setup
	@$(PYTEST) emulator/tests $(ARGS)

# The pictures of the pages, from the definition and from runs of `make launch`.
pictures: setup
	@$(RUN) -m demo.pictures $(ARGS)

# What public scanners report about the templates as they are deployed, as in `make verify`.
scan: setup .scan-venv/.ready
	@$(BIN)/python -m pytest -q tests/scan

# What people type with the SageMaker SDKs, put to the policies.
sdk: setup .sdk2-venv/.ready .sdk3-venv/.ready
	@$(PYTEST) tests/sdk $(ARGS)

# The same, written as the table of examples/.
sdk-table: setup .sdk2-venv/.ready .sdk3-venv/.ready
	@$(RUN) -m tests.sdk

# The proof of least privilege: all that the roles are granted, and which calls use it.
permissions: setup
	@$(RUN) -m permissions_proof

# The platform beside what people use today: writes benchmarks/results.json and the pages from it.
bench: setup .bench-venv/.ready benchmarks/peers/cdk/node_modules/.ready
	@$(RUN) -m benchmarks
	@.bench-venv/bin/python -m benchmarks.charts

# Random schedules of requests, faults and people against the whole platform, on a virtual clock.
chaos: setup
	@RUNS=$(or $(RUNS),250) SEED=$(or $(SEED),1) $(RUN) -m tests.chaos

# Changes the domain in one place at a time: a change that no test notices is named.
mutation: .venv/.mutation | $(TMP)
	@$(RUN) -m tests.mutation $(ARGS)

# What of src/ the unit tests run, line by line and branch by branch.
coverage: setup .venv/.mutation
	@rm -rf .local/coverage
	@$(BIN)/coverage run -m pytest -q -n logical --dist loadgroup tests/unit
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@rm -rf .local/prose
	@$(BIN)/python tools/prose.py .local/prose $(DESCRIBED)
	@PATH="$(CURDIR)/$(BIN):$$PATH" tools/node_modules/.bin/textlint --config tools/prose.yml \
		--ignore-path tools/prose.ignore $(PAGES) $(DESCRIBED:%=.local/prose/%.md)

types: setup
	@$(BIN)/mypy

# A first launch does not wait for the linters of Node.js.
first: .venv/.ready .venv/bin/vending .sam-venv/.ready | $(TMP)

setup: first tools/node_modules/.ready

# All that the commands above set up on their first run. `make -j environments` is what .ci/run does.
environments: setup .scan-venv/.ready .jupyter-venv/.ready .aws-venv/.ready .sdk2-venv/.ready .sdk3-venv/.ready

$(TMP):
	@mkdir -p $@

.venv/.ready: requirements/uv.txt requirements/dev.txt | $(TMP)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: name one with PYTHON=…' >&2; exit 1; }
	@echo 'setup: the tools (.venv), about a minute'
	@$(PYTHON) -m venv --clear .venv || \
		{ echo 'Python has no venv module: install the package python3-venv' >&2; exit 1; }
	@$(PIP) -r requirements/uv.txt
	@$(UV) -r requirements/dev.txt
	@touch $@

# It holds paths of this clone, as this Makefile says.
.venv/bin/vending: Makefile .venv/.ready
	@printf '%s\n' '#!$(CURDIR)/$(BIN)/python -I' 'import sys' 'sys.path[:0] = ["$(CURDIR)", "$(CURDIR)/src/shared"]' \
		'from vending.cli import app' 'app()' > $@
	@chmod +x $@

.venv/.mutation: requirements/mutation.txt .venv/.ready
	@$(UV) -r requirements/mutation.txt
	@touch $@

.sam-venv/.ready: requirements/sam.txt .venv/.ready
	@echo 'setup: the SAM CLI (.sam-venv), about a minute'
	@$(PYTHON) -m venv --clear --without-pip .sam-venv
	@$(UV) --python .sam-venv -r requirements/sam.txt
	@touch $@

.scan-venv/.ready: requirements/scan.txt .venv/.ready
	@echo 'setup: the scanners (.scan-venv), about a minute'
	@$(PYTHON) -m venv --clear --without-pip .scan-venv
	@$(UV) --python .scan-venv -r requirements/scan.txt
	@touch $@

.jupyter-venv/.ready: requirements/jupyter.txt requirements/ipykernel.txt .venv/.ready
	@echo 'setup: a Jupyter server (.jupyter-venv), about a minute'
	@$(PYTHON) -m venv --clear --without-pip .jupyter-venv
	@$(UV) --python .jupyter-venv -r requirements/jupyter.txt
	@$(UV) --python .jupyter-venv --target .jupyter-venv/ipykernel -r requirements/ipykernel.txt
	@touch $@

.aws-venv/.ready: requirements/aws.txt .venv/.ready
	@echo 'setup: the AWS CLI (.aws-venv), about a minute'
	@$(PYTHON) -m venv --clear --without-pip .aws-venv
	@$(UV) --python .aws-venv -r requirements/aws.txt
	@touch $@

.sdk%-venv/.ready: requirements/sdk%.txt .venv/.ready
	@echo 'setup: the SageMaker SDK $* (.sdk$*-venv), about a minute'
	@$(PYTHON) -m venv --clear --without-pip .sdk$*-venv
	@$(UV) --python .sdk$*-venv -r requirements/sdk$*.txt
	@touch $@

.bench-venv/.ready: requirements/bench.txt .venv/.ready
	@echo 'setup: what the benchmarks need beside (.bench-venv)'
	@PYENV_VERSION=3.13 python3.13 -m venv --clear --without-pip .bench-venv 2> /dev/null || \
		$(PYTHON) -m venv --clear --without-pip .bench-venv # the functions' Python, if it is at hand
	@$(UV) --python .bench-venv -r requirements/bench.txt
	@touch $@

benchmarks/peers/cdk/node_modules/.ready: benchmarks/peers/cdk/package-lock.json .venv/.ready
	@echo 'setup: aws-cdk-lib (benchmarks/peers/cdk/node_modules)'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(NPM) --prefix benchmarks/peers/cdk > /dev/null
	@touch $@

tools/node_modules/.ready: tools/package-lock.json .venv/.ready
	@echo 'setup: asl-validator, textlint and others (tools/node_modules)'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(NPM) --prefix tools > /dev/null
	@touch $@

# Writes the locks anew from their inputs: requirements/*.in, tools/package.json. The head of each
# lock is its command, with every option spelt out, as Renovate reads it there and runs it.
lock: .venv/.ready
	@for each in emulator/requirements:3.11 $(addprefix requirements/,lambda:3.13 dev:3.11 mutation:3.11 sam:3.11 scan:3.11 jupyter:3.11 ipykernel:3.11 aws:3.11 sdk2:3.11 sdk3:3.11 bench:3.11 uv:3.11); do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
			--python-version=$${each#*:} --output-file=$${each%:*}.txt $${each%:*}.in || exit 1; done
	@for each in tools benchmarks/peers/cdk; do \
		PATH="$(CURDIR)/$(BIN):$$PATH" npm install --prefix $$each --package-lock-only --silent --cache=.local/npm --logs-max=0 || exit 1; done

clean:
	@rm -rf .venv .sam-venv .scan-venv .jupyter-venv .aws-venv .sdk2-venv .sdk3-venv .bench-venv .local .aws-sam tools/node_modules benchmarks/peers/cdk/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
