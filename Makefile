.DEFAULT_GOAL := help
.PHONY: help serve test check lint fuzz bench soak audit
# The same whether or not this machine has Python keep its bytecode: each start of the service would compile it anew.
PYTEST := PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest -n auto

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

serve: ## Set up, then answer the Bedrock Runtime API on 127.0.0.1:8080 with the demo checkpoints
	@scripts/setup
	@.venv/bin/invoke-api serve --demo

test: ## Set up, then run the whole suite on all cores
	@scripts/setup test
	@$(PYTEST)

check: ## Set up, then ruff, mypy and the tests for each save: all but those marked vllm (real vLLM) or slow (tests/support/scheduling.py)
	@scripts/setup test
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/mypy
	@$(PYTEST) -q -p no:schemathesis -m "not vllm and not slow"

lint: ## Set up, then ruff, mypy, bandit and the checks of the Docker files
	@scripts/setup test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/bandit --quiet --configfile pyproject.toml --recursive invoke_api engine bench examples
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml examples/fleet/compose.yaml
	.venv/bin/hadolint Dockerfile

fuzz: ## Set up, then send what nobody would for DURATION=10 minutes, by a fresh SEED= that is printed; ONLY= names parts; the properties take some minutes more
	@scripts/setup test
	@SEED=$(SEED) DURATION=$(DURATION) ONLY="$(ONLY)" .venv/bin/python -m tests.fuzzing

bench: ## Set up, then measure all that bench/ has; three quarters of an hour on two cores
	@scripts/setup test
	@status=0; for each in startup.py checks.py suite.py rate.py call_path.py workers.py "serving.py $(SERVING)" prefix.py swap.py; do \
		echo "bench/$$each"; .venv/bin/python bench/$$each || status=1; \
	done; exit $$status

soak: ## Set up, then a mixed load for MINUTES=30, whose findings go into docs/reliability.md
	@scripts/setup test
	@.venv/bin/python -m tests.reliability.soak --page --minutes $(or $(MINUTES),30)

audit: ## Set up, then look for known vulnerabilities in what is installed; error 75 where their database can't be reached
	@scripts/setup test
	@scripts/audit
