"""Engines that write their rules themselves, each started once for all tests that ask about it."""

from __future__ import annotations

import pytest

from tests.conftest import cannot
from tests.kernel.engine import Engine, NoEngine, left
from tests.kernel.engine_configurations import CONFIGURATIONS
from tests.kernel.engine_configurations_ipv6 import IPV6
from tests.kernel.engine_record import Record, recorded


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> Record:
    configuration = {**CONFIGURATIONS, **IPV6}[request.param]
    try:
        with Engine(configuration.backend, configuration.options) as engine:
            found = recorded(engine, configuration)
    except NoEngine as reason:
        cannot(reason)
    assert left(engine.cgroup) == []
    return found
