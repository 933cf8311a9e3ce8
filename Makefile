# make demo: from nothing to a trained model. make test: every test. Both do all the set-up they need, once.
PYTHON ?= python3.11
RUN = .venv/bin/python
SLOW = slow or spark or vllm or oracle or browser or chaos
ROOMS = headrace catalog ingest curate synth mixer trainer

.PHONY: demo test quality quick lint bench fuzz setup-demo setup-test python
.NOTPARALLEL:

demo: setup-demo
	@$(RUN) -m headrace run recipes/demo.yaml

test: setup-test
	@$(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=40

# the default models of quality, fitted to pinned files: recipes then name them, as in quality.score: {model: useful}
quality: setup-demo
	@$(RUN) -m headrace.corpus labels
	@$(RUN) -m headrace run recipes/quality.yaml

# for developers, after one of the two
quick: setup-demo
	@$(RUN) -m pytest -q -m "not ($(SLOW))"

lint: setup-demo
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy $(ROOMS)

bench: setup-test
	@for script in benchmarks/*.py; do echo "== $$script" && $(RUN) $$script || exit 1; done

fuzz: setup-test
	@$(RUN) tests/fuzzing.py

setup-demo: python
	@$(PYTHON) -m headrace.setup demo

setup-test: python
	@$(PYTHON) -m headrace.setup test

python:
	@$(PYTHON) -c '' 2>/dev/null || { echo "error: there is no $(PYTHON): install Python 3.11, or say make PYTHON=/path/to/python3.11" >&2; exit 2; }
