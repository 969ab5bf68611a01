# aucue: `make demo` shows what it is, `make test` shows that it works. Both set up .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Compiled modules are kept, whatever the surroundings say: a process that compiles torch starts in 20 s, not in 9.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test cover style lint bench docs lock clean
help:
	@echo "make demo   train with and without guidance on rendered faces, write a report (a few minutes)"
	@echo "make test   ruff, pyright, pytest"
	@echo "make cover  pytest again, with the lines and branches that it does not reach"
	@echo "make lint   ruff and pyright alone"
	@echo "make bench  timings of the hot paths on this machine"
	@echo "make docs   the guides as a site in runs/site"
	@echo "make lock   rewrite requirements.lock from what .venv holds (after changing dependencies)"
	@echo "make clean  remove .venv and caches (runs/ stays)"

# Bytecode of what commands import, a small part of all, is made by importing it once.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "aucue needs Python 3.11 or newer, found " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) (the first time takes some minutes: torch is large) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -c 'import aucue.explanation.batch, aucue.training.fitting'
	@touch $@

demo: $(READY)
	@$(BIN)/aucue demo --out runs/demo

# One thread per worker: two workers whose torch uses every core stall one another. A file's tests share a
# process, so that what they share is made once; the order of the files is that of tests/conftest.py.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: style
	$(BIN)/pyright --pythonpath $(BIN)/python

# pyright, which takes one core, runs beside the tests and speaks when they have ended.
test: style
	@$(BIN)/pyright --pythonpath $(BIN)/python > $(VENV)/pyright.txt 2>&1 & types=$$!; \
		$(PYTEST); tests=$$?; \
		wait $$types; typed=$$?; cat $(VENV)/pyright.txt; exit $$((tests + typed))

# Not a part of `make test`: counting lines takes a third more time.
cover: $(READY)
	$(PYTEST) --cov --cov-report=term

bench: $(READY)
	@for script in cues guidance cams landmarks; do echo "== benchmarks/$$script.py"; $(BIN)/python benchmarks/$$script.py || exit 1; done

docs: $(READY)
	@$(BIN)/mkdocs build --strict --quiet --site-dir runs/site
	@echo "Open runs/site/index.html"

# Without local version labels, without torch's CUDA packages, which torch pins itself where it needs them, and
# without the extra dlib: its landmark model is for research, and nothing but a comparison needs it.
lock: $(READY)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+.*//' \
		| grep -ivE '^(nvidia-|cuda-|triton|dlib|face.recognition.models)' > requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .coverage
