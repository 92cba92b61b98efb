# Two commands do everything: `make run` and `make test`. Both make their own environment in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETS := ../shared/data

# A step that failed half-way is done again, not taken for done.
.DELETE_ON_ERROR:
.PHONY: run test lint bench train clean

run: $(VENV)/.app
	@$(BIN)/python app.py $(if $(SOURCE),--source "$(SOURCE)") $(if $(PORT),--port "$(PORT)") $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.bench $(if $(SOURCE),--source "$(SOURCE)")

train: $(VENV)/.dev
	$(BIN)/python -m training.dataset $(addprefix $(SETS)/,$(addsuffix .zip,genki smiles getty_faces rafdb celeba64 fer))
	$(BIN)/python -m training.train --out runs/smile
	$(BIN)/python -m training.evaluate --model runs/smile

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements/app.txt dlib_from_wheel/pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements/app.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/training.txt $(VENV)/.app
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements/dev.txt
	@touch $@
