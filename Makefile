# make book     set up, run every chapter, build the book, say where it is
# make pdf      the book as one PDF, printed by Chromium or Chrome (make epub: as one EPUB)
# make lab      open the book in JupyterLab
# make draw     PROMPT="a red apple": draw pictures for a sentence
# make test     set up, look over the code, run the tests and every notebook (WORKERS=1: one after the other)
# make lint     look over the code only: style, JavaScript, types
# make fuzz     a million damaged files, odd arguments and command lines (half an hour; CASES=100000 for fewer)
# make kills    kill -9 at two hundred random moments (KILLS=20 for fewer)
# make axe      accessibility: axe on every page of the site, desktop and phone, light and dark (half an hour)
# make notebook NAME=book/01-autoencoders.ipynb: run one chapter again, in place
# make clean    remove what was built (not the installation)

VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
# The first Python that is new enough and can make virtual environments; or give your own: make book PYTHON=python3.12
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
INSTALLED := $(VENV)/.installed
JAVASCRIPT := dalle_edu/explore dalle_edu/page book/_static/terms.js book/_static/scroll.js tests/explore tests/page

# Chapters and tests do not wait for each other, so each has one thread and as many run as there are cores (publish/run.py).
# So are the stored outputs made: what is trained in a chapter depends on the number of threads in its last digits.
test notebook: export OMP_NUM_THREADS ?= 1
# Who reads has the cores for one chapter. Drawing uses those there are: DALLE_EDU_WORKERS says another number.
lab: export OMP_NUM_THREADS ?= 2
# A notebook shows its figures itself; a backend from outside would take them away.
unexport MPLBACKEND
# Nothing is fetched while the book runs or is tested.
book test notebook: export HF_HUB_OFFLINE := 1

.PHONY: help book pdf epub lab draw test fuzz kills axe lint notebook clean setup
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make/make/p' Makefile

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -x "$(BIN)/python" || test -n "$(PYTHON)" || { echo "No Python 3.11 or later with venv was found." \
		"Install one (Debian and Ubuntu: apt install python3 python3-venv), or name yours: make book PYTHON=/path/to/python3"; exit 2; }
	test -x "$(BIN)/python" || "$(PYTHON)" -m venv $(VENV)
	"$(BIN)/python" -m pip install --disable-pip-version-check --quiet -c constraints.txt -e ".[book,test]"
	@touch $@

book: $(INSTALLED)
	@"$(BIN)/dalle-edu" book --run

pdf epub: $(INSTALLED)
	@"$(BIN)/dalle-edu" book --$@

lab: $(INSTALLED)
	@"$(BIN)/dalle-edu" lab

# Emoji come out better when the model is careful (chapter 13), and beyond a dozen samples a small CLIP gains little (chapter 12).
DRAW_OPTIONS ?= --temperature 0.7 --samples 16

# The prompt travels in the environment, so that no character of it means anything to the shell.
export PROMPT
draw: $(INSTALLED)
	@test -n "$$PROMPT" || { echo 'Say what to draw: make draw PROMPT="a red apple"'; exit 2; }
	@"$(BIN)/dalle-edu" draw "$$PROMPT" $(DRAW_OPTIONS)

# Python's style, the explorers' JavaScript, and the types of what readers call.
lint: $(INSTALLED)
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/oxlint" --deny-warnings $(JAVASCRIPT)
	"$(BIN)/oxfmt" --check $(JAVASCRIPT)
	"$(BIN)/mypy"

# A file's tests stay together, for a notebook's cells share their kernel; four at once take up to 12 GiB of memory.
WORKERS ?= auto --maxprocesses 4
test: $(INSTALLED) lint
	"$(BIN)/python" -m pytest tests book -n $(WORKERS) --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env --nbval-cell-timeout 300 \
		--nbval-sanitize-with tests/book/sanitize.cfg

CASES ?= 1000000
fuzz: $(INSTALLED)
	"$(BIN)/python" tests/fuzz.py --cases $(CASES)

KILLS ?= 200
kills: $(INSTALLED)
	"$(BIN)/python" tests/kills.py --kills $(KILLS)
	"$(BIN)/python" tests/kills_together.py --kills $$(( ($(KILLS) + 9) / 10 ))

axe: $(INSTALLED)
	"$(BIN)/dalle-edu" book
	"$(BIN)/python" tests/axe.py

notebook: $(INSTALLED)
	@test -f "$(NAME)" || { echo "Name a notebook: make notebook NAME=book/01-autoencoders.ipynb"; exit 2; }
	"$(BIN)/nbstripout" "$(NAME)"
	"$(BIN)/jupyter" nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
		--ExecutePreprocessor.timeout=300 --log-level=WARN "$(NAME)"

clean:
	rm -rf book/_build build dist .pytest_cache .ruff_cache .hypothesis
	find book dalle_edu tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
