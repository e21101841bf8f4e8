.PHONY: test help setup lint types mapping unit audit demo local bench load soak upgrade package alarms docs format lock sbom pythons

# These redirect what Python imports and writes, and are meant for other work.
unexport PYTHONHOME PYTHONPATH PYTHONOPTIMIZE PYTHONPYCACHEPREFIX PYTHONSAFEPATH

test: lint types audit mapping unit    ## what CI runs (.ci/run), apart from `demo` and `upgrade`

help:    ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /\1 - /p' Makefile

setup:    ## install everything that the other targets need into .venv
	@maintenance/setup

lint: setup    ## check the style of the code and the template
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	@SAM_CLI_TELEMETRY=0 .venv/stack/bin/sam validate --lint --region us-east-1
	@.venv/stack/bin/cfn-lint monitoring.yaml daily_check.yaml

types: setup    ## check the types
	.venv/bin/mypy

mapping: setup    ## run the tests beside the mapping
	@.venv/bin/segment-to-hyperline test

unit: setup    ## run the tests, including a deployment into a local AWS
	.venv/bin/pytest

audit: setup    ## check the template, the workflows, and the deployed packages
	@.venv/audit/bin/checkov --file template.yaml --file monitoring.yaml --file daily_check.yaml \
		--framework cloudformation --skip-download --compact --quiet
	@.venv/audit/bin/zizmor --offline --quiet --strict-collection .github docs/*.yml
	@.venv/bin/python -m maintenance.audit

demo: setup    ## deploy into a local AWS, send events, show the results
	@.venv/bin/segment-to-hyperline demo

local: setup    ## keep the same stack running until Ctrl-C
	@.venv/bin/segment-to-hyperline local

load: setup    ## send a minute of traffic with faults
	@.venv/bin/python -m local_stack.load

bench: setup    ## benchmark against alternatives (four minutes)
	@.venv/bin/python -m bench

soak: setup    ## run the property test with 1,000 new examples
	.venv/bin/pytest --no-cov --numprocesses=0 --hypothesis-profile=soak tests/test_invoice.py

# `unit` tests it on those that the machine has.
pythons: setup    ## test the command's wheel on each Python that it supports
	maintenance/uv python install 3.12 3.13 3.14
	.venv/bin/pytest --no-cov --numprocesses=0 tests/test_wheel.py

upgrade: setup    ## test an update of 0.1.0, the way back, and `sam delete` (some minutes)
	.venv/bin/pytest --no-cov --numprocesses=0 tests/upgrade.py

package: setup    ## build what a release publishes into dist/
	@maintenance/package

alarms: setup    ## write the alarms and runbooks from alarms.toml
	@.venv/bin/python -m maintenance.alarms
	@.venv/bin/python -m bench.reports.monthly

docs: setup    ## write docs/cli.md from the help of the commands
	@.venv/bin/python -m maintenance.reference

format: setup    ## fix the formatting
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

# An additional index can have fewer files of a version, whose hashes would be missing, and
# the addresses of a mirror are of no use to others.
lock: setup    ## update uv.lock from pyproject.toml; OPTIONS=--upgrade updates all versions
	@UV_DEFAULT_INDEX= UV_INDEX_URL= UV_INDEX= UV_EXTRA_INDEX_URL= UV_FIND_LINKS= \
		maintenance/uv lock --no-config --python .venv/bin/python $(OPTIONS)
	@maintenance/uv export --quiet --frozen --only-group function \
		--output-file function/requirements.txt

SBOM = dist/sbom.cdx.json
sbom: setup    ## write what is deployed, in CycloneDX, to dist/sbom.cdx.json
	@mkdir -p $(dir $(SBOM))
	@maintenance/uv export --quiet --frozen --only-group function \
		--format cyclonedx1.5 --preview-features sbom-export --output-file $(SBOM)
