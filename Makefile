# make demo   set everything up, audit sample_logs and open the dashboard
# make test   set everything up and pass the tests (types, lint, import floors, rules, tests)
# make train     train the second reader from rules/examples
# make evaluate  how well the words are read: docs/words-report.md (DATA=folder of the ordinary sets)
# make bench  SIZES="100000 1000000 10000000": time and memory of everything, beside a bare load, grep and pandas: docs/benchmarks.md

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIZES ?= 100000 1000000
PORT ?= 8501

.PHONY: demo test check train evaluate bench clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/dunaudit demo --port $(PORT)

test: $(VENV)/installed check
	$(BIN)/python -m pytest -n auto

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dunaudit rules check

train: $(VENV)/installed
	$(BIN)/python -m analyzer.training

evaluate: $(VENV)/installed
	$(BIN)/python -m analyzer.evaluation $(DATA)

bench: $(VENV)/installed
	$(BIN)/python benchmarks/bench.py $(SIZES)

clean:
	rm -rf $(VENV) runs
