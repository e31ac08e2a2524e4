"""Rules that no single running Docker leaves so: upgrades and downgrades, flushed tables, duplicates, containers that are gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.networks import networks_json
from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from tests.docker_catalogue import FOLDER

UPGRADES = {
    "start-27.5.1": ("stage-isolation", "18.03.1", "27.5.1", []),
    "27.5.1-to-28.0.0": ("ext-bridges", "28.0.0", "28.0.0", []),
    "27.5.1-28.0.0-to-28.5.2": ("forward-ct-bridge", "28.2.0", "28.5.2", []),
    "27.5.1-28.0.0-28.5.2-to-29.7.2": ("internal-chain", "29.0.0", None, [("user-end", ["DOCKER-USER"])]),
    "29.7.2-to-27.5.1": (
        "stage-isolation",
        "18.03.1",
        "27.5.1",
        [("other-layout", [c]) for c in ("FORWARD", "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-FORWARD", "DOCKER-INTERNAL")],
    ),
}
"""The engine that ran last → layout, versions, and what it found and left there."""


def answer(text: str, family: int = 4) -> dict[str, Any]:
    return networks_json(Situation(read_snapshot(text, "dump"), family))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", UPGRADES)
def test_engines_after_each_other_on_one_host(name: str) -> None:
    """The last engine's layout, the same configuration as before, and the traces of the others by name."""
    layout, first, last, left = UPGRADES[name]
    found = answer((FOLDER / "upgrade" / f"{name}.ip4.txt").read_text())
    docker = found["docker"]
    assert (docker["layout"], docker["versions"]) == (layout, {"from": first, "to": last})
    assert [(x["kind"], x["chains"]) for x in docker["leftovers"]] == left
    assert all(x["lines"] and x["says"] for x in docker["leftovers"])
    settings = {n["bridge"]: (n["subnets"], n["icc"], n["masquerade"], n["gateway_mode"]) for n in found["networks"]}
    assert settings == {
        "docker0": (["172.17.0.0/16"], True, True, "nat"),
        "bridge1": (["192.0.2.0/24"], True, True, "nat"),
        "bridge2": (["198.51.100.0/24"], True, True, "nat"),
    }


def without(pattern: str) -> Callable[[str], str]:
    """The dump without the lines that match."""
    return lambda text: "".join(line for line in text.splitlines(keepends=True) if not re.match(pattern, line))


def twice(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"(?m)^({pattern})\n", r"\1\n\1\n", text)


def before(pattern: str, rule: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"(?m)^({pattern})$", rf"{rule}\n\1", text, count=1)


def table_without(name: str, chains: bool) -> Callable[[str], str]:
    """A table flushed, with its user chains deleted or not."""

    def edit(text: str) -> str:
        def flush(match: re.Match[str]) -> str:
            kept = re.sub(r"(?m)^-A .*\n", "", match[0])
            return re.sub(r"(?m)^:\S+ - .*\n", "", kept) if chains else kept

        return re.sub(rf"(?ms)^\*{name}$.*?^COMMIT$", flush, text)

    return edit


STALE = "-A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.9:80"
EDITS: dict[str, tuple[str, str, Callable[[str], str], set[str]]] = {
    "nothing-29": ("29.7.2", "internal-chain", lambda text: text, set()),
    "nothing-27": ("27.5.1", "stage-isolation", lambda text: text, set()),
    "FORWARD-flushed-29": ("29.7.2", "internal-chain", without("-A FORWARD"), {"unasked", "missing"}),
    "FORWARD-flushed-28": ("28.5.2", "forward-ct-bridge", without("-A FORWARD"), {"unasked", "missing"}),
    "FORWARD-flushed-27": ("27.5.1", "stage-isolation", without("-A FORWARD"), {"unasked", "missing"}),
    "FORWARD-flushed-17.06": ("17.06", "isolation-user", without("-A FORWARD"), {"unasked", "missing"}),
    "filter-flushed-29": ("29.7.2", "internal-chain", table_without("filter", chains=False), {"missing", "unasked", "half-port"}),
    "filter-flushed-28": ("28.5.2", "forward-ct-bridge", table_without("filter", chains=False), {"missing", "unasked", "half-port"}),
    "filter-gone-27": ("27.5.1", "", table_without("filter", chains=True), {"flushed"}),
    "filter-gone-29": ("29.7.2", "", table_without("filter", chains=True), {"flushed"}),
    "nat-gone-27": ("27.5.1", "stage-isolation", table_without("nat", chains=True), {"flushed"}),
    "nat-gone-29": ("29.7.2", "internal-chain", table_without("nat", chains=True), {"flushed", "half-port"}),
    "nat-flushed-29": ("29.7.2", "internal-chain", table_without("nat", chains=False), {"missing", "half-port"}),
    "jump-deleted": ("20.10.24", "stage-isolation", without("-A FORWARD -j DOCKER-USER"), {"unasked"}),
    "no-isolation": ("20.10.24", "stage-isolation", without("-A FORWARD -j DOCKER-ISOL"), {"unasked", "missing"}),
    "DOCKER-flushed": ("28.5.2", "forward-ct-bridge", without("-A DOCKER .* -j (DROP|ACCEPT)"), {"missing", "half-port"}),
    "stage-2-flushed": ("27.5.1", "stage-isolation", without("-A DOCKER-ISOLATION-STAGE-2"), {"missing"}),
    "masquerade-twice": ("27.5.1", "stage-isolation", twice("-A POSTROUTING -s 192.0.2.0/24.*"), {"duplicate"}),
    "dnat-twice": ("29.7.2", "internal-chain", twice("-A DOCKER .*DNAT.*192.0.2.2:80"), {"duplicate"}),
    "jump-twice": ("17.05", "isolation", twice("-A FORWARD -j DOCKER-ISOLATION"), {"duplicate"}),
    "container-gone": ("27.5.1", "stage-isolation", before("-A DOCKER .*DNAT.*192.0.2.2:80", STALE), {"shadowed", "half-port"}),
    "accept-gone": ("29.7.2", "internal-chain", without("-A DOCKER -d 192.0.2.2/32"), {"half-port"}),
    "dnat-gone": ("28.1.1", "forward-ct-bridge", without("-A DOCKER .*DNAT.*192.0.2.2:80"), {"half-port"}),
}  # fmt: skip
"""A dump of two networks with a port each, and what somebody did to it → the kinds of what does not fit."""


@pytest.mark.parametrize("name", EDITS)
def test_half_flushed_and_doubled_rules(name: str) -> None:
    version, layout, edit, kinds = EDITS[name]
    text = (FOLDER / version / "22-two-usernets-pub.ip4.txt").read_text()
    assert (edit(text) != text) == bool(kinds)
    docker = answer(edit(text))["docker"]
    assert docker["layout"] == (layout or None)
    assert {x["kind"] for x in docker["leftovers"]} == kinds
    assert all(x["says"] for x in docker["leftovers"])


def test_without_its_own_table_a_version_is_not_guessed() -> None:
    """Where only table nat is left, or given, every version is possible."""
    text = (FOLDER / "27.5.1" / "22-two-usernets-pub.ip4.txt").read_text()
    docker = answer(re.sub(r"(?ms)^\*filter$.*?^COMMIT$", "", text))["docker"]
    assert docker["versions"] == {"from": None, "to": None} and docker["leftovers"] == []
    shown = CliRunner().invoke(program, ["networks", "-"], input=table_without("filter", chains=True)(text)).output
    assert "Which version of Docker wrote them cannot be told" in shown


def test_without_table_nat_masquerading_is_not_guessed() -> None:
    text = (FOLDER / "27.5.1" / "22-two-usernets-pub.ip4.txt").read_text()
    found = answer(re.sub(r"(?ms)^\*nat$.*?^COMMIT$", "", text))
    assert [(n["masquerade"], n["gateway_mode"], n["userland_proxy"]) for n in found["networks"]] == [
        (None, None, None)
    ] * 3


def test_a_network_of_an_older_engine_is_no_network() -> None:
    """After a downgrade, what the newer engine wrote for a network that is gone is named as left behind, and nothing else."""
    text = (FOLDER / "upgrade" / "29.7.2-to-27.5.1.ip4.txt").read_text()
    ghost = "-A DOCKER-FORWARD -i br-0123456789ab -j ACCEPT"
    found = answer(before("-A DOCKER-FORWARD -i docker0 -j ACCEPT", ghost)(text))
    assert {n["bridge"] for n in found["networks"]} == {"docker0", "bridge1", "bridge2"}


@pytest.mark.parametrize("version", ["1.12", "20.10.24", "28.1.1", "29.7.2"])
def test_a_network_that_is_gone(version: str) -> None:
    """Of a removed network sometimes only rules in table nat are left; they make no network."""
    text = (FOLDER / version / "22-two-usernets-pub.ip4.txt").read_text()
    left = "-A POSTROUTING -s 10.9.0.0/16 ! -o br-0123456789ab -j MASQUERADE"
    found = answer(before("-A POSTROUTING -s 192.0.2.0/24.*", left)(text))
    assert {n["bridge"] for n in found["networks"]} == {"docker0", "bridge1", "bridge2"}
    [leftover] = found["docker"]["leftovers"]
    assert (leftover["kind"], leftover["bridges"], len(leftover["lines"])) == ("gone", ["br-0123456789ab"], 1)


def test_the_words_say_it() -> None:
    text = (FOLDER / "upgrade" / "29.7.2-to-27.5.1.ip4.txt").read_text()
    shown = CliRunner().invoke(program, ["explain", "-"], input=text).output
    assert "These rules are not all as one running Docker leaves them" in shown
    assert "The chain DOCKER-FORWARD is one that another version of Docker fills" in shown
