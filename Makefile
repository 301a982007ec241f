.DEFAULT_GOAL := help
.PHONY: help serve test check site lint fuzz bench soak audit
# The same whether or not this machine has Python keep its bytecode: each start of the service would compile it anew.
PYTEST := PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest -n auto

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

serve: ## Set up, then serve a small model in place of all on http://127.0.0.1:8080; DEMO=tiny: random networks
	@scripts/setup
	@.venv/bin/invoke-api serve --demo $(DEMO)

test: ## Set up, then run the whole suite: up to four groups of tests at once, and of those that need vLLM two
	@scripts/setup test
	@$(PYTEST) -m "not vllm"
	@$(PYTEST) -n 2 -m vllm

check: ## Set up, then run ruff, mypy and the quick tests: none marked vllm (needs vLLM), slow (tests/support/scheduling.py) or property (draws examples)
	@scripts/setup test
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/mypy
	@$(PYTEST) -q -p no:schemathesis -m "not vllm and not slow and not property"

site: ## Set up, then build the documentation as a site into build/site
	@scripts/setup test
	@NO_MKDOCS_2_WARNING=1 .venv-site/bin/python -m mkdocs --quiet build
	@echo "python3 -m http.server --directory build/site 8000 serves it on http://127.0.0.1:8000"

lint: ## Set up, then run ruff, mypy, bandit, shellcheck and the checks of the Docker files
	@scripts/setup test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/bandit --quiet --configfile pyproject.toml --recursive invoke_api engine bench examples
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml examples/fleet/compose.yaml
	.venv/bin/hadolint Dockerfile
	.venv/bin/shellcheck bench/gpu.sh scripts/setup scripts/audit .ci/run

fuzz: ## Set up, then send random requests for DURATION=10 minutes, and draw more examples for properties; prints its SEED=; ONLY= selects parts
	@scripts/setup test
	@SEED=$(SEED) DURATION=$(DURATION) ONLY="$(ONLY)" .venv/bin/python -m tests.fuzzing

bench: ## Set up, then run all benchmarks; three quarters of an hour on two cores
	@scripts/setup test
	@status=0; for each in startup checks suite rate call_path workers "serving $(SERVING)" apis prefix fleet swap; do \
		echo "bench/$$each"; .venv/bin/python -m bench.$$each || status=1; \
	done; exit $$status

soak: ## Set up, then run a mixed load for MINUTES=30 and write the result to docs/reliability.md
	@scripts/setup test
	@.venv/bin/python -m tests.reliability.soak --page --minutes $(or $(MINUTES),30)

audit: ## Set up, then look up the installed packages in the database of known vulnerabilities; status 75 if it can't be reached
	@scripts/setup test
	@scripts/audit
