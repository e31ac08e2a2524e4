PYTHON = python3
VENV = .venv
DUMP = fixtures/docker/20.10/two-networks/rules.v4
PYTEST = $(VENV)/bin/python -m pytest -n auto --dist loadgroup
# The warnings that -qq hides are about pip's configuration; errors are still shown.
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check -qq

.PHONY: explain test test-other man update clean

explain: $(VENV)/.installed
	$(VENV)/bin/iptexplain $(DUMP)

test: $(VENV)/.tools
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTEST)
	@own=$$($(VENV)/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	for version in 3.11 3.12 3.13; do \
	    test $$version != $$own || continue; \
	    for python in python$$version "$$(pyenv root 2>/dev/null)"/versions/$$version.*/bin/python$$version; do \
	        "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	        echo "Python $$version:"; \
	        $(MAKE) --no-print-directory test-other PYTHON="$$python" VENV=.venv-$$version || exit 1; \
	        break; \
	    done; \
	done

test-other: $(VENV)/.tools
	$(PYTEST) -q -m 'not kernel and not packaging and not exhaustive'

man: $(VENV)/.installed
	$(VENV)/bin/iptexplain man > $(VENV)/iptexplain.1
	mkdir -p man
	mv $(VENV)/iptexplain.1 man/iptexplain.1
	$(VENV)/bin/iptexplain man docker > $(VENV)/iptexplain-docker.7
	mv $(VENV)/iptexplain-docker.7 man/iptexplain-docker.7

update: $(VENV)/.tools
	$(PYTEST) --update

clean:
	rm -rf .venv .venv-3.* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -exec rm -rf {} +

$(VENV)/.installed: setup.py setup.cfg
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable .
	touch $@

$(VENV)/.tools: $(VENV)/.installed
	$(PIP) install --editable '.[test,dev]'
	@$(PIP) install --editable '.[live]' > $(VENV)/live.log 2>&1 \
	    || echo 'python-iptables does not build here ($(VENV)/live.log says why): going on without the live backend'
	touch $@
