# A bare machine needs make and Python 3.11 or newer; the rest is installed into .venv, in the versions of the lock file.

PYTHONS = python3 python3.14 python3.13 python3.12 python3.11
NEWER = python3.14 python3.13 python3.12
OWN_VERSION = $(shell .venv/bin/python -c "import sys; print(tuple(sys.version_info[:2]))" 2> /dev/null)
TESTS_NEWER = tests/http tests/repositories tests/test_protocol.py tests/db/test_acquire.py tests/db/test_transactions.py \
	tests/db/test_rows.py tests/db/test_strictness.py tests/db/test_timer.py
TESTS_POOLED = tests/handlers tests/test_pgbouncer.py tests/test_login.py tests/test_top.py
# Of these, what has most to do with sessions and transactions.
POOLED = articles comments counts errors export favorites idempotency import_users login_limits lost_answers room statements
# What these test is done past a PgBouncer, or on the embedded server.
TESTS_PAST = tests/handlers/test_migrated_data.py tests/handlers/test_readme.py tests/handlers/test_seed.py
PACKAGES = .venv/packages.stamp
INSTALLED = .venv/installed.stamp
BENCH = .venv/bench.stamp
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check
UV = .venv/bin/uv
# No resolver: what is not in the lock file is not installed, and nothing released later is looked at. Only wheels: a
# source package would run a build whose own packages no lock file names.
AS_LOCKED = --only-binary :all: --no-deps --require-hashes --requirement
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet --universal --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-emit-find-links $(LOCKFLAGS)
POSTGRES_15 = /usr/lib/postgresql/15/bin/postgres
PGBOUNCER = /usr/sbin/pgbouncer
CHROMIUM = /usr/bin/chromium

# Containers often set it. The tests start hundreds of processes, and each would compile all it imports: most of its time.
unexport PYTHONDONTWRITEBYTECODE
# A worker that has nothing left takes from another, which may have got more of the long ones.
PYTEST = -m pytest --numprocesses auto --dist worksteal
# Fewer cut lines than otherwise, as each of them takes longer.
THROUGH_PGBOUNCER = POSTGRES_THROUGH=pgbouncer LOST_ANSWERS=16 .venv/bin/python $(PYTEST) -m "not debian and not index"

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-newer test-pooled coverage check faults audit bench bench-all lock clean debian-packages wrk
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(INSTALLED) ## migrations, then the service on 127.0.0.1:8000 (HOST and PORT change it); Ctrl-C ends it
	@.venv/bin/python -m app serve --migrate

test: $(INSTALLED) ## the tests that need nothing but .venv (ARGS="-k word" for some of them)
	.venv/bin/python $(PYTEST) -m "not debian and not index" $(ARGS)

coverage: $(INSTALLED) ## the same, with the branches of app/ that they cover, which takes a third more
	.venv/bin/python $(PYTEST) -m "not debian and not index" --cov=app $(ARGS)

test-all: $(INSTALLED) debian-packages test-newer ## what `make test` leaves out: Debian's PostgreSQL 15 with TLS, PgBouncer, Chromium, fresh installations
	$(THROUGH_PGBOUNCER) tests/test_pgbouncer.py $(wildcard $(POOLED:%=tests/handlers/test_%.py))
	.venv/bin/python $(PYTEST) -m "debian or index" $(or $(ARGS),$$(grep -rlE --include="*.py" "mark\.(debian|index)" tests))

test-pooled: $(INSTALLED) debian-packages ## the tests of the API through Debian's PgBouncer in transaction mode; test-all has a part of them
	$(THROUGH_PGBOUNCER) $(TESTS_PAST:%=--ignore=%) $(wildcard $(TESTS_POOLED))

# The oldest Python that is supported runs all tests; the image has the newest.
test-newer: $(PACKAGES) ## the service and the layer's protocol on the newest Python that this machine has beside its own
	@for python in $(NEWER); do \
		"$$python" -c "import sys; sys.exit(sys.version_info[:2] == $(OWN_VERSION))" 2> /dev/null || continue; \
		echo "$$python"; [ -x .venv/newer/bin/python ] || "$$python" -m venv .venv/newer && \
		$(UV) pip install --quiet --python .venv/newer/bin/python $(AS_LOCKED) requirements-dev.lock && \
		exec .venv/newer/bin/python $(PYTEST) -m "not debian and not index" $(TESTS_NEWER); \
	done; echo "There is no Python newer than that of .venv; tried $(NEWER)"

check: $(INSTALLED) ## lint, format, types, imports between the layers, sql/ against its lock file, installed versions
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/basedpyright
	.venv/bin/lint-imports
	.venv/bin/python -m app check --offline
	.venv/bin/python -m pip check

faults: $(INSTALLED) ## servers, networks and workers fail under load, and nothing is lost: 7 minutes (ROUNDS=30: half an hour)
	.venv/bin/python -m tests.faults --rounds $(or $(ROUNDS),5) $(ARGS)

audit: $(PACKAGES) ## known vulnerabilities of the locked packages; fails where the package index has no advisories
	$(UV) tool run --quiet pip-audit==2.10.1 --strict --disable-pip --require-hashes --progress-spinner off \
		$(foreach file,requirements.lock requirements-dev.lock requirements-bench.lock,--requirement $(file))

bench: $(BENCH) wrk ## the layer and the service against other stacks, and the chart in the README: ten minutes
	.venv/bin/python -m benchmarks

bench-all: $(BENCH) wrk ## and growth to a million articles, workers, footprint and the outside contest: 45 minutes
	.venv/bin/python -m benchmarks --all

# The packages of the image and of the benchmarks are those of the tests: both files are compiled within their versions.
lock: $(PACKAGES) ## compile the lock files from pyproject.toml (LOCKFLAGS=--upgrade for newer versions)
	$(LOCK) --extra embedded --extra otel --group dev pyproject.toml --output-file requirements-dev.lock
	$(LOCK) --constraint requirements-dev.lock pyproject.toml --output-file requirements.lock
	$(LOCK) --constraint requirements-dev.lock --group bench --output-file requirements-bench.lock

clean: ## remove .venv and what the tools leave behind; the data in .postgres stays
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov dist
	find app tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# uv, in the version of the lock file, takes a third of pip's time. Where it cannot download (it does not read pip's
# settings), pip does.
$(PACKAGES): requirements-dev.lock
	@python=$$($(FIND_PYTHON)) || exit 1; [ -x .venv/bin/python ] || "$$python" -m venv .venv
	@awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements-dev.lock > .venv/uv.lock
	$(PIP) $(AS_LOCKED) .venv/uv.lock
	$(call INSTALL,requirements-dev.lock)
	@touch $@

$(INSTALLED): $(PACKAGES) pyproject.toml
	$(PIP) --no-deps --no-build-isolation --no-index --editable .
	@.venv/bin/python -m pip check > .venv/check.txt || { cat .venv/check.txt >&2; exit 1; }
	@touch $@

$(BENCH): $(INSTALLED) requirements-bench.lock
	$(call INSTALL,requirements-bench.lock)
	@touch $@

define INSTALL
	$(UV) pip install --quiet --python .venv/bin/python $(AS_LOCKED) $(1) || $(PIP) $(AS_LOCKED) $(1)
endef

define FIND_PYTHON
	for python in $(or $(PYTHON),$(PYTHONS)); do \
		"$$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2> /dev/null && echo "$$python" && exit; \
	done; \
	echo "Python 3.11 or newer is needed; tried $(or $(PYTHON),$(PYTHONS)). Install it, or: make PYTHON=/path/to/python" >&2; \
	exit 1
endef

wrk:
	@command -v wrk > /dev/null && exit; \
	command -v apt-get > /dev/null || { echo "wrk, which loads the services, is missing, and there is no apt-get to install it" >&2; exit 1; }; \
	run=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$run apt-get update --quiet=2 && $$run apt-get install --quiet=2 --yes --no-install-recommends wrk

debian-packages:
	@[ -x $(POSTGRES_15) ] && [ -x $(PGBOUNCER) ] && [ -x $(CHROMIUM) ] && exit; \
	command -v apt-get > /dev/null || { \
		echo "$(POSTGRES_15) is missing, and there is no apt-get to install it: these tests run on Debian 12" >&2; exit 1; }; \
	[ "$$(id -u)" = 0 ] || command -v sudo > /dev/null || { \
		echo "$(POSTGRES_15) is missing: install Debian's packages postgresql-15, pgbouncer and chromium as root" >&2; exit 1; }; \
	run=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$run apt-get update --quiet=2 && \
	$$run env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends postgresql-15 pgbouncer openssl chromium
