# `make demo` and `make test` need nothing but Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test fuzz clean

demo: $(VENV)/runs
	$(BIN)/python tools/demo.py

test: $(VENV)/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p $(VENV)/types && ln -sfn "$(CURDIR)" $(VENV)/types/upright && $(BIN)/mypy
	$(BIN)/python -m pytest

# Ten thousand damaged files over all readers: some minutes, the same files each time.
fuzz: $(VENV)/tests
	$(BIN)/python tests/fuzz/run.py

# The demo needs neither torch nor test tools; the tests need all that the demo needs.
$(VENV)/runs: requirements-plain.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements-plain.txt
	touch $@

$(VENV)/tests: $(VENV)/runs requirements.txt requirements-test.txt
	$(BIN)/python -m pip install --quiet -r requirements-test.txt
	touch $@

clean:
	rm -rf $(VENV) runs build *.egg-info
