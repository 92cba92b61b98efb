# Two commands do everything: `make run` and `make test`. Both make their own environment in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETS := ../shared/data
ZIPS = $(addprefix $(SETS)/,$(addsuffix .zip,genki smiles getty_faces rafdb celeba64 fer keypoints affect))
FINDER_ZIPS = $(addprefix $(SETS)/,$(addsuffix .zip,genki affect keypoints celeba64 getty_originals_sample backgrounds))
# Four trainings, each of which begins with the network of the one before; from the second on more faces come as they are.
SECOND := --epochs 8 --rate 5e-4 --plain-share 0.5 --guessed-weight 0.1
THIRD := --epochs 48 --rate 1.2e-3 --plain-share 0.35 --guessed-weight 0.1 --patience 48
FOURTH := --epochs 14 --rate 1e-3 --plain-share 0.35 --guessed-weight 0.1
BASELINES := lenet seed minimal keypoints
LEFT_OUT := genki smiles getty_faces rafdb celeba64 fer

# A step that failed half-way is done again, not taken for done.
.DELETE_ON_ERROR:
.PHONY: run test check lint bench browser train finder compare screenshots clean

run: $(VENV)/.app
	@$(BIN)/python app.py $(if $(SOURCE),--source "$(SOURCE)") $(if $(PORT),--port "$(PORT)") $(ARGS)

# The tests start some hundred processes of our own: compiled once, also where a shell says that nothing be kept.
test check: export PYTHONDONTWRITEBYTECODE =

# Four processes on two cores: many tests wait for a camera or a browser. The longest files come first.
test: lint
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# For whoever changes one thing: what takes no processes, browsers or training.
check: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" -q $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.bench $(if $(SOURCE),--source "$(SOURCE)") $(ARGS)

# LiteRT's runtime, by which a visitor's own browser reads pictures. Needs Node and npm, and takes a minute or two, once.
browser: build/browser/litert.js

build/browser/litert.js: tools/browser/package-lock.json tools/browser/gather.mjs models/smile.tflite models/finder.tflite
	@command -v npm >/dev/null || { echo "make browser needs Node 20 or newer with npm; the app works without it." >&2; exit 2; }
	rm -rf build/npm && mkdir -p build/npm
	cp tools/browser/package.json tools/browser/package-lock.json tools/browser/.npmrc build/npm/
	cd build/npm && npm ci --silent
	node tools/browser/gather.mjs
	@touch $@

train: $(VENV)/.dev
	$(BIN)/python -m training.dataset $(ZIPS) --split models/split.csv.gz
	$(BIN)/python -m training.train --from-scratch --precision mixed_bfloat16 --out runs/first
	$(BIN)/python -m training.train --precision mixed_bfloat16 --start-from runs/first $(SECOND) --out runs/second
	$(BIN)/python -m training.train --precision mixed_bfloat16 --start-from runs/second $(THIRD) --out runs/third
	$(BIN)/python -m training.dense --teacher $(SETS)/../models/face_landmarker.task
	$(BIN)/python -m training.train --precision mixed_bfloat16 --start-from runs/third $(FOURTH) \
	  --dense datasets/faces.dense.npz --out runs/smile
	$(BIN)/python -m training.evaluate --model runs/smile

# The network that finds faces: pictures with marks once, then hours of training; the same command goes on after a kill.
finder: $(VENV)/.dev
	$(BIN)/python -m training.finder $(if $(wildcard datasets/finder.npz),,$(FINDER_ZIPS)) $(ARGS)

# The networks of earlier projects on the same split, and ours trained without one set at a time.
compare: $(VENV)/.dev
	for name in $(BASELINES); do $(BIN)/python -m training.train --network $$name || exit; done
	$(BIN)/python -m training.evaluate --baselines $(addprefix runs/,$(BASELINES))
	for name in $(LEFT_OUT); do \
	  $(BIN)/python -m training.train --from-scratch --precision mixed_bfloat16 --epochs 6 --without $$name --out runs/without_$$name && \
	  $(BIN)/python -m training.evaluate --left-out $$name --model runs/without_$$name || exit; \
	done

# Every state of the page, to look at after a change: screenshots/all.
screenshots: $(VENV)/.dev
	@$(BIN)/python docs/screenshots.py $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements/app.txt dlib_from_wheel/pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements/app.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/training.txt requirements/plot.txt requirements/scale.txt $(VENV)/.app
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements/dev.txt
	@touch $@
