# Two commands do everything: `make demo` and `make test`. Both need Python 3.11 or newer with its venv module.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= demo-output
# Test processes at a time; a file of tests stays in one, as its tests share what is slow to make.
JOBS ?= 2

.PHONY: demo test clean

demo: $(VENV)/installed
	$(BIN)/archive-colorizer demo --output $(OUTPUT)

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@# It asks for an old Pillow, which it does not need to check manifests.
	$(BIN)/python -m pip install --quiet --no-deps iiif-prezi3==3.1.1
	touch $@

clean:
	rm -rf $(VENV) $(OUTPUT)
