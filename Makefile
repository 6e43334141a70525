# make tables: the whole demo study.  make status: how far it is.  make test, make lint: what has to pass.
# make bench: how fast it all is, a quarter of an hour.
# make wandb-sync: send what was tracked offline to Weights & Biases (STUDY=outputs/NAME for another study).
# make install: the environment alone.
# make clean: take away the environment and the caches; results in outputs/ stay.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m ecg_tl
STUDY := outputs/demo

.PHONY: help install tables status wandb-sync bench test lint clean

# the comments above
help:
	@sed -n '/^#/!q;s/^# //p' Makefile

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

$(STUDY)/encoder/bundle.json: | .venv/installed
	$(RUN).pretrain experiment=demo

# cells that are done are skipped, and those that are not can only be told by looking
tables: $(STUDY)/encoder/bundle.json
	$(RUN).train -m experiment=demo hydra/launcher=local init=transfer,random,image fraction=1,0.5,0.25 'seed=range(10)'
	$(RUN).tables study=demo

status: | .venv/installed
	$(RUN).status study=demo

# WANDB_RESUME: the parts of a run that was interrupted become one
wandb-sync: | .venv/installed
	WANDB_RESUME=allow $(BIN)/wandb sync $(STUDY)/wandb

bench: | .venv/installed
	$(BIN)/python benchmarks/speed.py

test: .venv/installed
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
