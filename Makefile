# Everything here starts from a fresh checkout: the environment is made on the way, see
# tests/support/bootstrap.sh. Arguments go through variables: make test ARGS="-k timeline".

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BOOTSTRAP := tests/support/bootstrap.sh
STORES := --fetch tests.support.programs
IN_PLACE := $(BOOTSTRAP) --keep-user
MAJORS := default 14 15 16 17 18 12 13
WORKERS ?= 3
ARGS ?=
STORE ?= file

.PHONY: demo
demo: ## lose a database and bring it back to the second before (STORE=s3 archives to S3, KEEP=1 keeps it)
	@STORE=$(STORE) $(BOOTSTRAP) --postgres default $(if $(filter s3,$(STORE)),$(STORES)) \
		python -m tests.e2e.demo $(ARGS)

.PHONY: test
test: ## run all tests, with everything that they need
	@$(BOOTSTRAP) --rig --postgres "$(MAJORS)" $(STORES) \
		python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: check
check: ## lint, check the format, the types and the layers
	@$(IN_PLACE) $(MAKE) --keep-going _lint _format _types _layers

.PHONY: _lint _format _types _layers
_lint:
	ruff check
_format:
	ruff format --check
_types:
	mypy backup_core provision tests bench
_layers:
	lint-imports

.PHONY: golden
golden: ## write the golden renders of the sample roles anew, into tests/golden
	@$(IN_PLACE) python -m tests.support.golden

.PHONY: bench
bench: ## compare with peers, into bench/RESULTS.md (ARGS="--only provision": a part)
	@$(BOOTSTRAP) --rig --postgres 15 $(STORES) --fetch bench.programs \
		python -m bench --output /dev/null $(ARGS) >bench/RESULTS.md.new
	@mv bench/RESULTS.md.new bench/RESULTS.md
	@cat bench/RESULTS.md

.PHONY: venv
venv: ## only make the environment, in .venv
	@$(IN_PLACE) true

.PHONY: clean
clean: ## remove what the other targets made in this directory
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
