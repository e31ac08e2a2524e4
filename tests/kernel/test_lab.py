"""What the laboratory reports, held against what netfilter is known to do (fixtures/kernel/expected.t), on both backends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.kernel.compare import compared
from tests.kernel.generate.tables import CHAINS
from tests.kernel.lab.laboratory import BACKENDS, Backend, run_case
from tests.kernel.lab.topology import with_macs

EXPECTED = Path(__file__).parent.parent.parent / "fixtures" / "kernel" / "expected.t"
HOST = {
    "interfaces": [
        {"name": "lo", "kind": "loopback"},
        {"name": "eth0", "kind": "veth-external", "addresses": ["192.0.2.10/24", "192.0.2.11/24"],
         "peers": [{"name": "gw", "addresses": ["192.0.2.1"]}, {"name": "client", "addresses": ["192.0.2.50"]}]},
        {"name": "docker0", "kind": "bridge", "addresses": ["172.17.0.1/16"],
         "containers": [{"name": "c1", "addresses": ["172.17.0.2"], "port": "vethc1"},
                        {"name": "c2", "addresses": ["172.17.0.3"], "port": "vethc2"}]},
        {"name": "br1", "kind": "bridge", "addresses": ["172.18.0.1/16"],
         "containers": [{"name": "d1", "addresses": ["172.18.0.2"], "port": "vethd1"}]},
    ],
    "routes": [{"dst": "default", "via": "192.0.2.1", "dev": "eth0"}],
}  # fmt: skip
WORDS = {"none": None, "yes": True, "no": False}


class Expected(NamedTuple):
    """A case by its lines: (key, value)."""

    name: str
    lines: list[tuple[str, str]]

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.lines if name == key]


def read_expected(text: str) -> Iterator[Expected]:
    for part in text.split("\n\n"):
        lines = [line.partition(":") for line in part.splitlines() if line and not line.startswith("#")]
        if lines:
            yield Expected(lines[0][2].strip(), [(key, value.strip()) for key, _, value in lines[1:]])


def fields(text: str) -> dict[str, Any]:
    """A packet's fields, or the keys of its end, from ``key=value`` words."""

    def typed(key: str, value: str) -> Any:
        if key == "icmp_error":
            return [int(number) for number in value.split("/")]
        return WORDS[value] if value in WORDS else int(value) if value.isdigit() else value

    pairs = (word.split("=", 1) for word in text.split(" ") if word)
    return {key: typed(key, value.replace("_", " ") if key == "with" else value) for key, value in pairs}


def dump(expected: Expected) -> str:
    """The rules as iptables-restore takes them; a chain that is no base chain is the user's."""
    lines: list[str] = []
    for table in dict.fromkeys(key for key, _ in expected.lines if key in CHAINS):
        rules = [rule.split() for rule in expected.all(table) if rule]
        policies = {rule[1]: rule[2] for rule in rules if rule[0] == "-P"}
        rules = [rule for rule in rules if rule[0] != "-P"]
        users = dict.fromkeys(rule[0] for rule in rules if rule[0] not in CHAINS[table])
        lines += [f"*{table}", *(f":{chain} {policies.get(chain, 'ACCEPT')} [0:0]" for chain in CHAINS[table])]
        lines += [f":{chain} - [0:0]" for chain in users]
        lines += [f"-A {' '.join(rule)}" for rule in rules] + ["COMMIT"]
    return "\n".join(lines) + "\n"


def case_of(expected: Expected) -> dict[str, Any]:
    hairpin = bool(expected.all("hairpin"))
    interfaces = [i | {"hairpin": hairpin} if i["name"] == "docker0" else i for i in HOST["interfaces"]]
    sysctls = {key: value for text in expected.all("sysctl") for key, value in fields(text).items()}
    routes = [fields(text) for text in expected.all("route")]
    host = with_macs({"interfaces": interfaces, "routes": routes or HOST["routes"], "sysctls": sysctls})
    packets = [fields(text) for text in expected.all("packet")]
    return {"name": expected.name, "host": host, "dump": dump(expected), "packets": packets}


def steps(result: dict[str, Any]) -> str:
    return " ".join(_place(step) for step in result["steps"])


def _place(step: dict[str, Any]) -> str:
    return f"{step['table']}/{step['chain']}/{'P' if step['rule'] == 'policy' else step['rule']}"


def at(result: dict[str, Any], path: str) -> Any:
    """A key of a result's outcome (or of its reply, or the result's own ``ctstate``)."""
    found: Any = result if path == "ctstate" else result["outcome"]
    if path.startswith("reply."):
        found, path = result["replies"][0], path.removeprefix("reply.")
    for key in path.split("."):
        found = found.get(key)
    return _place(found) if path == "by" else found


ALL = list(read_expected(EXPECTED.read_text()))


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture(scope="module", params=ALL, ids=[expected.name for expected in ALL])
def answered(request: pytest.FixtureRequest, backend: Backend) -> tuple[Expected, dict[str, Any]]:
    """An expectation, and its case with the kernel's answers and ours."""
    case = case_of(request.param)
    results, facts = run_case(case, backend)
    return request.param, case | {"results": results, "facts": facts}


def test_netfilter_does_what_is_known_of_it(answered: tuple[Expected, dict[str, Any]]) -> None:
    expected, case = answered
    assert [steps(result) for result in case["results"]] == expected.all("steps")
    for result, wanted in zip(case["results"], expected.all("ends"), strict=True):
        keys = fields(wanted)
        assert {key: at(result, key) for key in keys} == keys


def test_the_trace_knows_it_too(answered: tuple[Expected, dict[str, Any]]) -> None:
    assert not [one.differences for one in compared(answered[1]) if one.differences]
