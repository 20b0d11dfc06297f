# Everything starts here; each target sets the project up first, once. GNU make 3.81 and a POSIX shell are enough.
SHELL = /bin/sh
PORT ?= 8501
PART ?=
CASES ?=
DATA ?=
PROCESSES ?=
GAMES ?=
ARGS ?=
KIND ?=
BIN = .venv/bin

.PHONY: help app test check bench fit-prior examples setup clean

help:
	@echo "make app      start the page at http://localhost:$(PORT) (another port: PORT=8600)"
	@echo "make test     run every test (one room: ARGS=tests/core/work)"
	@echo "make check    formatting, lint, types, and the direction of imports"
	@echo "make bench    measure speed and faithfulness (one part: PART=..., fewer cases: CASES=...)"
	@echo "              (PART=faults: kills at random moments, and damaged files)"
	@echo "              (PART=faithfulness: PROCESSES=2 scores its prompts on two cores)"
	@echo "              (PART=faithfulness, lrgd, recicl or strategies on other data: DATA=\"FOLDER FOLDER\")"
	@echo "make fit-prior  judge the constants of the model of the list on users that nothing else uses (GAMES=8)"
	@echo "make examples compute the examples that pages open on anew (one: KIND=explain)"
	@echo "make clean    remove what was built here; stored results and the sample material stay"

setup:
	@sh .ci/setup

app: setup
	@exec $(BIN)/demolens app --prepare --port "$(PORT)"

test: setup
	@found=$$(sh .ci/chromium) || exit 1; CHROMIUM="$$found" $(BIN)/python -m pytest $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m bench $(if $(PART),--part "$(PART)") $(if $(CASES),--cases "$(CASES)") \
		$(if $(PROCESSES),--processes "$(PROCESSES)") \
		$(foreach folder,$(DATA),--data "$(folder)")

fit-prior: setup
	$(BIN)/python -m bench.fit_prior $(if $(GAMES),--games "$(GAMES)")

examples: setup
	$(BIN)/demolens prepare --examples-into assets/examples $(if $(KIND),--example "$(KIND)")

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find app core tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
