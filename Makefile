# Two commands do all the set-up: `make demo` runs the main job, `make test` all that CI runs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test checks lint types docs wheel unit coverage faults fuzz load help-pages man clean

demo: $(VENV)/.installed
	$(BIN)/audiocli demo demo
	$(BIN)/audiocli separate demo/song.wav --output demo/separated --overwrite
	@echo "The stems are in demo/separated; compare them with the true ones in demo/stems."

test:
	$(MAKE) --jobs 2 --output-sync checks
	$(MAKE) unit

checks: lint types docs wheel $(VENV)/.compiled

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/update_help.py --check
	$(BIN)/python docs/update_features.py --check
	$(BIN)/python docs/update_models.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir $(VENV)/site

# The package as others get it: built, installed in an empty environment, run elsewhere.
wheel: $(VENV)/.installed-dev
	$(BIN)/python tests/wheel.py

unit: $(VENV)/.compiled
	$(BIN)/python -m pytest --quiet --numprocesses auto

# Per cent of lines and branches that must be run by tests. A floor: raise it to what a run prints.
COVERAGE := 85

coverage: $(VENV)/.compiled
	$(BIN)/python -m pytest --quiet --numprocesses auto --cov --cov-report=term --cov-report=xml \
		--cov-fail-under=$(COVERAGE)

# Runs that are killed, ended and robbed of disk and folder, at random moments.
faults: $(VENV)/.compiled
	$(BIN)/python tests/faults.py

# Many short files and a long one: memory, handles, speed; a manifest of a million lines.
load: $(VENV)/.compiled
	$(BIN)/python benchmarks/load.py

# Broken files, model folders, tables and manifests through every command.
fuzz: $(VENV)/.compiled
	$(BIN)/python tests/fuzz.py
	$(BIN)/python tests/fuzz_readers.py

help-pages: $(VENV)/.installed-dev
	$(BIN)/python docs/update_help.py
	$(BIN)/python docs/update_features.py
	$(BIN)/python docs/update_models.py

# A man page of every command, from its help: man -l man/audiocli-separate.1
man: $(VENV)/.installed-dev
	$(BIN)/python docs/make_man.py man

clean:
	rm -rf man .coverage coverage.xml $(VENV) demo dist separated .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	# The networks of the big models, without what their packages need to train and download.
	$(PIP) --no-deps demucs openunmix einops julius tqdm
	touch $@ $(VENV)/.installed

# Librosa is compiled at its first import, by one process while the checks use another core.
$(VENV)/.compiled: $(VENV)/.installed-dev
	$(BIN)/python -c 'from audiocli.dsp.compiled import import_librosa; import_librosa()'
	touch $@
