.PHONY: test setup lint types unit demo local preview bench load soak format lock

test: lint types unit    ## all that CI runs

setup:
	@tools/setup

lint: setup    ## style of the code, and of the template
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/stack/bin/sam validate --lint --region us-east-1

types: setup
	.venv/bin/mypy

unit: setup    ## includes a deployment into a local AWS
	.venv/bin/pytest

demo: setup    ## deploy into a local AWS, call as Segment does, show the outcome
	@.venv/bin/python tools/demo.py

local: setup    ## keep the same stack running, until Ctrl-C
	@.venv/bin/python tools/local.py

preview: setup    ## what the mapping would bill for EVENTS=file; AGAINST=HEAD compares
	@$(if $(EVENTS),,echo "Say of what: make preview EVENTS=file, or EVENTS=-" >&2; exit 1)
	@.venv/bin/python tools/preview.py "$(EVENTS)" $(if $(AGAINST),--against "$(AGAINST)") $(OPTIONS)

load: setup    ## a minute of traffic with faults
	@.venv/bin/python tools/load.py

bench: setup    ## measure it beside what people would otherwise run; a minute
	@.venv/bin/python bench/bench.py

soak: setup    ## a thousand new examples of the property test
	.venv/bin/pytest --no-cov --hypothesis-profile=soak tests/test_invoice.py

format: setup
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

lock: setup    ## write the lock files anew from pyproject.toml
	@tools/lock
