# Every target works alone on a fresh machine with Python >= 3.11: .venv is made when it is missing.
# `make bench`, `make bench-study SCALE=100`, `make fuzz FUZZ_SECONDS=60`, `make test ARGS="-k scope"` take what they need from the environment.
PY := .venv/bin/python
ARGS ?=
FUZZ_SECONDS ?= 1800
SCALE ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test lint types cover interop docs bench bench-study bench-sensors bench-archive fuzz clean

setup:
	@tools/setup.sh dev

demo:
	@tools/setup.sh run
	@$(PY) tools/demo.py $(ARGS)

test:
	@tools/setup.sh test
	@tools/peers.sh
	@$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

lint:
	@tools/setup.sh dev
	@$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m codespell_lib

types:
	@tools/setup.sh dev
	@$(PY) -m mypy

cover:
	@tools/setup.sh dev
	@$(PY) tools/cover.py $(ARGS)

interop:
	@tools/setup.sh test
	@tools/peers.sh
	@$(PY) -m pytest tests/interop $(ARGS)

docs:
	@tools/setup.sh test
	@$(PY) tools/docs.py $(ARGS)

bench:
	@tools/setup.sh test
	@tools/peers.sh
	@$(PY) tools/bench.py $(ARGS)

bench-study:
	@tools/setup.sh run
	@$(PY) tools/bench_study.py --scale $(SCALE) $(ARGS)

bench-sensors:
	@tools/setup.sh test
	@$(PY) tools/bench_sensors.py --scale $(SCALE) $(ARGS)

bench-archive:
	@tools/setup.sh test
	@tools/peers.sh
	@$(PY) tools/bench_archive.py --scale $(SCALE) $(ARGS)

fuzz:
	@tools/setup.sh fuzz
	@$(PY) tools/run_fuzz.py --seconds $(FUZZ_SECONDS) $(ARGS)

clean:
	@rm -rf .venv .cache .fuzz dist
