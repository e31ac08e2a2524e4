"""A real Docker Engine that writes no rules, with generated ones in place: everybody reaches whom he reached before.

The same containers are started on an engine that writes its own rules and on one with "iptables": false; each probe must go as it
went, and its server must see the same address.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.host.topology import bridge_name
from tests.conftest import cannot
from tests.kernel.engine import Engine, NoEngine
from tests.kernel.engine_configurations import CONFIGURATIONS, Configuration
from tests.kernel.engine_record import Record, Seen, recorded

pytestmark = pytest.mark.xdist_group("docker")
WITHOUT_RULES = "--iptables=false --ip6tables=false --userland-proxy=false"


PAST_INPUT = {"other > host 5353/udp", "other > host2 8090/tcp"}
"""What the administrator of ``closed`` keeps from docker-proxy in INPUT: that the generated rules do not ask it they say themselves."""


def own_rules(configuration: Configuration) -> Record:
    with Engine(configuration.backend, configuration.options) as engine:
        return recorded(engine, configuration)


def with_rules(configuration: Configuration, before: Record, rules: str) -> Record:
    """The same host, but for who writes the rules; Docker names bridges anew."""
    options = configuration.options.replace(
        "--icc=false", ""
    )  # with which the daemon does not start, as the header says
    with Engine(configuration.backend, f"{options} {WITHOUT_RULES}") as engine:
        for command in configuration.docker.strip().splitlines():
            engine.docker(command)
        names = {n["Name"]: bridge_name(n) for n in engine.snapshot()["docker"]["networks"]}
        for network in before.snapshot["docker"]["networks"]:
            rules = rules.replace(bridge_name(network), names[network["Name"]])
        engine.out(
            "sysctl",
            "-qw",
            *[f"{name}={value}" for name, value in before.snapshot["sysctls"].items() if "bridge-nf" in name],
        )
        engine.out(f"xtables-{configuration.backend}-multi", "iptables-restore", input=rules)
        return recorded(engine, configuration._replace(docker="", administrator=""))


@pytest.mark.parametrize(
    ("name", "style"), [("plain", "docker"), ("closed", "flat"), ("no-proxy", "flat"), ("guarded", "docker")]
)
def test_everybody_reaches_whom_he_reached(name: str, style: str, tmp_path: Path) -> None:
    configuration = CONFIGURATIONS[name]
    try:
        before = own_rules(configuration)
        source = tmp_path / "snapshot.json"
        source.write_text(json.dumps({k: v for k, v in before.snapshot.items() if k != "ip6tables"}))
        result = CliRunner().invoke(program, ["generate", "replace", str(source), "--style", style])
        assert result.exit_code == 0, result.stderr
        after = with_rules(configuration, before, result.stdout)
    except NoEngine as reason:
        cannot(reason)
    was, now = ({probe: seen._replace(port=None) for probe, (_, seen) in r.probes.items()} for r in (before, after))
    differing = {probe for probe in was if now[probe] != was[probe]}
    assert {p: (was[p], now[p]) for p in differing - PAST_INPUT if not is_better(was[p], now[p])} == {}


def is_better(was: Seen, now: Seen) -> bool:
    """docker-proxy's answers over UDP come from another address than was asked where the host has several: nobody takes them."""
    return was.result == "silent" and now == was._replace(result="answered") and was.server is not None
