"""A file with Docker's inspect JSON, which names what a bare dump shows: read with the line of every error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from iptexplain.errors import UNREADABLE, DumpError, Location, OptionError, ParseError
from iptexplain.host.inspected import BRIDGE, docker_facts
from iptexplain.host.snapshot import FAMILIES, Snapshot
from iptexplain.host.topology import bridge_name, from_facts
from iptexplain.rules.addresses import to_network

WANTED = "'docker network inspect $(docker network ls -q)' and 'docker inspect $(docker ps -q)' print what is wanted"
MARKS = {"networks": "IPAM", "containers": "NetworkSettings"}
"""Kind → the key by which it is known."""

Facts = dict[str, list[dict[str, Any]]]


def with_docker(snapshot: Snapshot, text: str, file: str) -> Snapshot:
    """``snapshot`` with the networks and containers in ``text``, in place of those that it had; raises DumpError.

    The text holds lists as ``docker network inspect`` and ``docker inspect`` print them, one after the other, or one object with the
    keys ``networks`` and ``containers``. Either of the two tells some of the other: a network lists its containers, and a container
    the networks that it is on.
    """
    found = read_inspected(text, file)
    networks, containers = found["networks"], found["containers"]
    known = {network["Name"] for network in networks}
    written = "".join(dump.text for dump in snapshot.dumps)
    networks += [n for n in _mentioned_networks(containers) if n["Name"] not in known and bridge_name(n) in written]
    named = {container["Name"] for container in containers}
    containers += [c for c in _mentioned_containers(networks) if c["Name"] not in named]
    docker = {**snapshot.facts.get("docker", {}), **{kind: items for kind, items in found.items() if items}}
    return snapshot._replace(facts={**snapshot.facts, "docker": docker})


def read_inspected(text: str, file: str) -> Facts:
    """The networks and containers of a file, each as far as it is kept (host/inspected.py). Raises DumpError with all errors."""
    errors: list[ParseError] = []
    found: Facts = {kind: [] for kind in MARKS}
    lines = text.split("\n")
    try:
        for at, value in _elements(text):
            line = text.count("\n", 0, at) + 1
            kind = next((k for k, mark in MARKS.items() if isinstance(value, dict) and mark in value), None)
            problem = _problem(kind, value, found)
            if problem:
                errors.append(ParseError(problem, Location(file, line), lines[line - 1]))
    except json.JSONDecodeError as e:
        errors.append(ParseError(f"no JSON: {e.msg}", Location(file, e.lineno, e.colno), lines[e.lineno - 1]))
    except (ValueError, RecursionError):
        errors.append(ParseError(f"no JSON: {UNREADABLE}", Location(file, 1)))
    if not (errors or any(found.values())):
        errors.append(ParseError(f"there is no network and no container in it: {WANTED}", Location(file, 1)))
    if errors:
        raise DumpError(errors)
    return found


def _elements(text: str) -> Iterator[tuple[int, Any]]:
    """What stands in the lists and objects of the text, with its place; raises JSONDecodeError."""
    decoder = json.JSONDecoder()
    inside = False
    at = _behind_space(text, 0)
    while at < len(text):
        if text[at] == "[" and not inside:
            inside, at = True, at + 1
        elif text[at] in ",]" and inside:
            inside, at = text[at] == ",", at + 1
        else:
            value, end = decoder.raw_decode(text, at)
            if isinstance(value, dict) and value.keys() & MARKS.keys():
                yield from ((at, each) for kind in MARKS for each in value.get(kind) or [])
            else:
                yield at, value
            at = end
        at = _behind_space(text, at)
    if inside:
        raise json.JSONDecodeError("the list has no end: is a part of the file missing?", text, len(text.rstrip()))


def _behind_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n\ufeff":
        at += 1
    return at


def _problem(kind: str | None, value: Any, found: Facts) -> str | None:
    """Puts what is kept of ``value`` into ``found``, or tells what is wrong with it."""
    if kind is None:
        return f"this is neither a network nor a container: {WANTED}"
    facts = docker_facts(**{"networks": [], "containers": [], kind: [value]})
    if not facts[kind]:
        return f"a {kind[:-1]} without a name{' and an id' if kind == 'networks' else ''}: {WANTED}"
    try:
        for network in facts["networks"]:
            for config in network.get("IPAM", {}).get("Config", []):
                to_network(config["Subnet"], 6 if ":" in config["Subnet"] else 4)
        networks = facts["networks"] + _mentioned_networks(facts["containers"])
        containers = facts["containers"] + _mentioned_containers(facts["networks"])
        for family in FAMILIES:
            from_facts({"docker": {"networks": networks, "containers": containers}}, family)
    except (OptionError, LookupError, TypeError, ValueError) as e:
        return f"{facts[kind][0]['Name'].lstrip('/')}: {e}"
    found[kind] += facts[kind]
    return None


def _mentioned_networks(containers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The networks that containers are on, taken for bridges with the names that Docker gives."""
    found = {}
    for container in containers:
        for name, settings in container.get("NetworkSettings", {}).get("Networks", {}).items():
            options = {f"{BRIDGE}name": "docker0", f"{BRIDGE}default_bridge": "true"} if name == "bridge" else {}
            found[name] = {"Name": name, "Id": settings.get("NetworkID", ""), "Driver": "bridge", "Options": options}
    return list(found.values())


def _mentioned_containers(networks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The running containers that networks list, with their addresses there."""
    found: dict[str, dict[str, Any]] = {}
    for network in networks:
        for settings in network.get("Containers", {}).values():
            name = f"/{settings.get('Name')}"
            container = found.setdefault(name, {"Name": name, "NetworkSettings": {"Networks": {}}})
            container["NetworkSettings"]["Networks"][network["Name"]] = {
                "IPAddress": str(settings.get("IPv4Address", "")).partition("/")[0],
                "GlobalIPv6Address": str(settings.get("IPv6Address", "")).partition("/")[0],
                "MacAddress": settings.get("MacAddress"),
            }
    return list(found.values())
