# make demo     try mt without installing it        make check    everything CI checks
# make install  for everybody: PREFIX=/usr/local    make uninstall
# make man      write the pages again               make bench, make chaos, make clean
#
# make chaos MINUTES=10    kills at random; INSTALL=no keeps it from installing network file systems with apt-get
#
# Two environments are made as needed: .venv with the tools of developers, build/venv
# with mt alone.  PYTHON=... chooses the interpreter.

PREFIX = /usr/local
DESTDIR =
MINUTES = 10
-include config.mk

PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
# A plain path file, not an import hook: the hook costs 10 ms at every start of Python.
EDITABLE = --config-settings editable_mode=compat

SOURCES = $(shell find mt man -name '*.py' -o -name '*.[157]' -o -name py.typed)

.PHONY: all demo check bench chaos man install uninstall clean
.DELETE_ON_ERROR:

all: build/venv/ready

demo: build/venv/ready
	PATH="$$PWD/build/venv/bin:$$PATH" scripts/demo "$$PWD/build/demo"

check: .venv/ready
	scripts/check

bench: .venv/ready
	for file in tests/bench/bench_*.py; do echo "== $$file"; .venv/bin/python "$$file" || exit; done

chaos: .venv/ready
	-test "$(INSTALL)" = no || scripts/chaos-tools
	MT_CHAOS_MINUTES=$(MINUTES) .venv/bin/python -m pytest -m chaos -n 0 -s -rs $(ARGS)

man: .venv/ready
	.venv/bin/python scripts/mkman

install: build/venv/ready
	build/venv/bin/python scripts/install "$(PREFIX)" "$(DESTDIR)"

uninstall: build/venv/ready
	build/venv/bin/python scripts/install --remove "$(PREFIX)" "$(DESTDIR)"

.venv/ready: setup.cfg pyproject.toml scripts/mkvenv
	scripts/mkvenv .venv
	.venv/bin/python $(PIP_INSTALL) $(EDITABLE) -e '.[dev]'
	touch $@

build/venv/ready: setup.cfg pyproject.toml scripts/mkvenv $(SOURCES)
	mkdir -p build
	scripts/mkvenv build/venv
	rm -rf build/lib build/bdist.*
	build/venv/bin/python $(PIP_INSTALL) .
	touch $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache config.mk
	find mt tests scripts -name __pycache__ -prune -exec rm -rf {} +
