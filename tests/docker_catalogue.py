"""What the dumps of fixtures/docker-dumps must be read back as: configurations.toml, and what the rules of each version tell."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from tests.conftest import ROOT

FOLDER = ROOT / "fixtures" / "docker-dumps"
TABLE: dict[str, Any] = tomllib.loads((FOLDER / "configurations.toml").read_text())
VERSIONS: dict[str, dict[str, Any]] = TABLE["versions"]
ADDRESS = re.compile(r"[0-9.]+|[0-9a-f]*:[0-9a-f:]+")


class Case(NamedTuple):
    """A dump: which engine's, of which configuration, and of which family."""

    version: str
    name: str
    family: int

    @property
    def file(self) -> Path:
        return FOLDER / self.version / f"{self.name}.ip{self.family}.txt"

    @property
    def configuration(self) -> dict[str, Any]:
        return dict(TABLE["configurations"][self.name])

    def part(self, key: str) -> Any:
        """The part of the configuration that concerns this family."""
        return self.configuration.get(key + ("6" if self.family == 6 else ""), {} if key == "networks" else [])

    def situation(self) -> Situation:
        return _situation(self)


@cache
def _situation(case: Case) -> Situation:
    return Situation(read_snapshot(case.file.read_text(), case.file.name), case.family)  # type: ignore[arg-type]


def cases() -> list[Case]:
    """Every dump of an engine, in a stable order."""
    files = sorted(f for version in VERSIONS for f in (FOLDER / version).iterdir())
    split = (re.fullmatch(r"(.+)\.ip([46])\.txt", f.name) for f in files)
    return [Case(f.parent.name, m[1], int(m[2])) for f, m in zip(files, split, strict=True) if m]


CASES = cases()
FULL = [c for c in CASES if not c.configuration.get("empty")]


class Line(NamedTuple):
    """``HOST > CONTAINER:PORT/PROTO`` of the table: a published port, a link, a port of the mesh."""

    host_ip: str
    host_port: int | None
    container_ip: str
    container_port: int
    proto: str


def lines(texts: list[str], family: int) -> list[Line]:
    """The lines of the table, ranges of ports one by one."""
    found = []
    for text in texts:
        left, _, right = text.rpartition(" > ")
        target, _, proto = right.partition("/")
        (host, host_ports), (address, ports) = _end(left), _end(target)
        everywhere = "::" if family == 6 else "0.0.0.0"
        for a, b in zip_longest(_range(host_ports), _range(ports)):
            found.append(Line(host or everywhere, a, address, b or 0, proto))
    return sorted(found, key=str)


def _end(text: str) -> tuple[str, str]:
    """``[ADDRESS:]PORT`` or an address alone."""
    if ADDRESS.fullmatch(text) and text.count(".") == 3:
        return text, ""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), port


def _range(text: str) -> list[int]:
    if not text:
        return []
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def layout(case: Case) -> dict[str, Any]:
    """The layout and the versions that the rules show."""
    told = dict(VERSIONS[case.version])
    if case.version == "1.9" and len(case.part("networks")) == 1:
        told |= TABLE["wider"]["1.9 alone"]
    if case.version == "28.1.1" and not _guarded(case):
        told |= TABLE["wider"]["28.1.1 without raw"]
    return {"layout": told["layout"], "versions": {"from": told["from"], "to": told.get("to")}}


def _guarded(case: Case) -> bool:
    """Whether there is a rule in raw for a published port."""
    free = {"nat-unprotected", "direct"}
    ports = lines(case.part("ports"), case.family)
    return any(
        not free & set(words) and {p.container_ip for p in ports} & set(words)
        for words in case.part("networks").values()
    )


def networks(case: Case) -> dict[str, dict[str, Any]]:
    """Every network by its bridge (by its subnet, where Docker chose the bridge's name).

    With IPv6, engines up to 27 keep networks without IPv6 apart as well, and write nothing else for them.
    """
    found = {bridge: _network(case, bridge, words) for bridge, words in case.part("networks").items()}
    if case.family == 6 and VERSIONS[case.version]["layout"] == "stage-isolation":
        only_apart = {"subnets": [], "icc": None, "masquerade": False, "gateway_mode": None, "direct_routing": None}
        others = [
            b for b, words in case.configuration["networks"].items() if b not in found and "internal" not in words
        ]
        found |= {bridge: _network(case, bridge, []) | only_apart for bridge in others}
    return found


def _network(case: Case, bridge: str, words: list[str]) -> dict[str, Any]:
    version, daemon = VERSIONS[case.version], case.configuration.get("daemon", [])
    settings = {word.split()[0]: word.split()[1:] for word in words if not ADDRESS.fullmatch(word)}
    internal, mode = "internal" in settings, next((m for m in ("routed", "nat-unprotected") if m in settings), "nat")
    named = {p.container_ip for p in lines(case.part("ports") + case.part("opened"), case.family)}
    named |= {a for p in lines(case.part("links"), case.family) for a in (p.host_ip, p.container_ip)}
    guarded = version["raw"] == "container" and mode == "nat" and not internal and "direct" not in settings
    containers = [w for w in words if ADDRESS.fullmatch(w) and (guarded or w in named)]
    published = bool({p.container_ip for p in lines(case.part("ports"), case.family)} & set(words))
    dropped = (published and version["raw"] == "port" and mode == "nat") or (guarded and bool(containers))
    masked = mode != "routed" and not internal and not {"no-masquerade", "snat"} & settings.keys()
    told = masked or internal or "snat" in settings or version.get("by-elimination")
    return {
        "default": bridge == "docker0",
        "subnets": [TABLE["subnets6" if case.family == 6 else "subnets"].get(bridge, bridge)] if told else [],
        "icc": None if internal and not version.get("internal-icc", True) else "no-icc" not in settings,
        "internal": internal,
        "masquerade": masked,
        "snat_to": settings["snat"][0] if "snat" in settings else None,
        "gateway_mode": None if internal else mode,
        "userland_proxy": "no-proxy" not in daemon if _has_jumps(case) else None,
        "direct_routing": None
        if internal
        else False
        if dropped and "direct" not in settings
        else _direct(mode, published),
        "trusted_interfaces": settings.get("trusted", []),
        "accept_fwmark": next((w.split()[1] for w in daemon if w.startswith("fwmark ") and not internal), None),
        "containers": containers,
        "ports": sum(1 for p in lines(case.part("ports"), case.family) if p.container_ip in words),
    }


def _direct(mode: str, published: bool) -> bool | None:
    return True if published or mode != "nat" else None


def _has_jumps(case: Case) -> bool:
    """With IPv6, engines up to 27 write the jumps to nat DOCKER with the first network that is not internal."""
    late = case.family == 6 and VERSIONS[case.version]["layout"] == "stage-isolation"
    return not late or any("internal" not in words for words in case.part("networks").values())
