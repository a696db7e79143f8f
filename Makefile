# The commands of README.md. `make` alone lists them.
#
#   PYTHON=python3.12        the Python (3.11 or later) that .venv is made from; else one is looked for
#   PIP_ARGS="..."           further options for pip, such as an index that has torch for the CPU alone
#   LAB_ARGS="..."           further options for JupyterLab

PY := .venv/bin/python
LAB_ARGS ?= $(if $(filter 0,$(shell id -u)),--allow-root)
export PYTHON PIP_ARGS

.PHONY: help setup lab test lint notebooks handout book diagrams browser-test constraints clean

help:
	@echo "make lab            set up if needed, then open the workbook in JupyterLab"
	@echo "make test           set up if needed, then run all tests and all notebooks"
	@echo "make setup          the set-up alone: .venv, dependencies, the compiled backend"
	@echo "make lint           ruff, mypy, clang-format, and whether notebooks, README and stubs agree with their sources"
	@echo "make notebooks      run the notebooks in full (this trains) and write them from notebooks/src"
	@echo "make handout        copies of the notebooks without the solutions, in handout/"
	@echo "make book           the workbook as a static site, in book/"
	@echo "make diagrams       draw the notebooks' new diagrams for that site; needs Chromium"
	@echo "make browser-test   drive the workbook in a real browser; needs Chromium"
	@echo "make constraints    write constraints.txt anew, with the newest versions that the ranges allow"
	@echo "make clean          remove .venv and everything built"

setup:
	@sh scripts/setup.sh

lab: setup
	$(PY) -m jupyterlab $(LAB_ARGS) notebooks/00_start_here.ipynb

test: setup
	$(PY) -m pytest tests
	$(PY) -m pytest --nbval notebooks

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) scripts/stubs.py check
	find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | xargs .venv/bin/clang-format --dry-run -Werror
	$(PY) scripts/notebooks.py check
	$(PY) scripts/book.py check
	$(PY) scripts/readme.py check

notebooks: setup
	$(PY) scripts/notebooks.py build

handout: setup
	$(PY) scripts/notebooks.py handout

book: setup
	$(PY) scripts/book.py

diagrams: setup
	$(PY) scripts/book.py diagrams

browser-test: setup
	$(PY) -m pytest tests/browser

constraints:
	@sh scripts/constraints.sh

clean:
	rm -rf .venv build book handout mytensor.egg-info mytensor_backend*.so mytensor/_simt
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
