"""A compose file as a whole: its name, and those of its services and networks that are there when it is up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from iptexplain.explain.nodes import Node, Written, from_yaml
from iptexplain.explain.words import either, listed, said
from iptexplain.generate.compose.networks import Network, built_in, read_network
from iptexplain.generate.compose.reader import Reader
from iptexplain.generate.compose.services import SHARING, Service, read_service
from iptexplain.generate.compose.variables import Variables

TOP = ("name", "include", "services", "networks")
KEY = re.compile("[a-zA-Z0-9._-]+")
"""The names that compose takes for services and networks."""
SERVICES = re.compile(r"""^(?:services|"services"|'services')[ \t]*:""", re.MULTILINE)
SUFFIXES = (".yaml", ".yml")
PROJECT, PROFILES = "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"
"""The variables that compose itself looks at."""
ENV_FILE = "--env-file"
"""The option that names the files with variables."""


class Project(NamedTuple):
    """``networks``: by their keys, those that services are on; ``default_bridge``: docker0, as described or as it is assumed to be.

    ``notes``: what was taken for granted, as sentences. ``written``: the file with its errors.
    """

    name: str
    services: dict[str, Service]
    networks: dict[str, Network]
    default_bridge: Network
    notes: list[str]
    reader: Reader

    @property
    def written(self) -> Written:
        return self.reader.written

    def assumed(self) -> list[str]:
        """What was taken for granted, with the variables that nobody set."""
        unset = self.reader.variables.unset.items()
        return [
            *self.notes,
            *(f"the variable {name} is not set by an {ENV_FILE}: '{said(value)}' was taken" for name, value in unset),
        ]


def is_compose(text: str) -> bool:
    """Whether a text has the key ``services`` on top, in YAML or in JSON."""
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return bool(SERVICES.search(text.removeprefix("\ufeff")))
    try:
        return "services" in json.loads(text)
    except (ValueError, RecursionError):
        return bool(re.match(r"""\s*\{\s*(?:services|'services')\s*:""", text))


def read_project(text: str, file: str, folder: str, given: Mapping[str, str]) -> Project:
    """The project. ``folder``: the name of the folder that the file lies in, by which a project is called that has no name;
    ``given``: the variables that are set."""
    written = from_yaml(text, file, keeps_nulls=True)
    reader = Reader(written, Variables(given))
    root = reader.mapping(written.nodes[0], "a compose file") if written.nodes else {}
    reader.check_near(root, TOP)
    if "include" in root:
        written.wrong(root["include"].key, "'include' is not followed: give what 'docker compose config' prints")
    name = _name(given.get(PROJECT) or reader.text(root.get("name"), "name") or folder)
    if not name:
        written.wrong(written.at(1), "the project has no name: write 'name: NAME' at the top")
    reader.variables.given[PROJECT] = name
    notes: list[str] = []
    active = _active(reader, root.get("services"), notes)
    services = {key: read_service(reader, key, node, name) for key, node in active.items()}
    if not services and not written.errors:
        written.wrong(written.at(1), "there are no services in it that are active")
    declared = _keys(reader, root.get("networks"), "networks")
    networks, default_bridge = _networks(reader, declared, services, name, notes)
    return Project(name, services, networks, default_bridge, notes, reader)


def _name(text: str) -> str:
    """As compose makes a project's name of a folder's (loader.NormalizeProjectName of compose-go)."""
    return "".join(re.findall("[a-z0-9_-]", text.lower())).lstrip("_-")


def _keys(reader: Reader, node: Node | None, what: str) -> dict[str, Node]:
    found = reader.mapping(node, what)
    for key, each in found.items():
        if not KEY.fullmatch(key):
            reader.written.wrong(each.key, f"{what}: '{said(key)}' has characters that compose does not take")
    return {key: each for key, each in found.items() if KEY.fullmatch(key)}


def _active(reader: Reader, node: Node | None, notes: list[str]) -> dict[str, Node]:
    """The services without profiles, and those with one that COMPOSE_PROFILES names."""
    asked = {word.strip() for word in reader.variables.given.get(PROFILES, "").split(",")}
    found = {}
    for key, each in _keys(reader, node, "services").items():
        listed = reader.items(reader.mapping(each, f"service {key}").get("profiles"), f"service {key}: profiles")
        profiles = [reader.text(item, f"service {key}: profiles") for item in listed]
        if not profiles or asked & {"*", *profiles}:
            found[key] = each
        else:
            notes.append(
                f"service {key} is left out, for its profile is not active: {either(map(said, profiles))}, in {PROFILES} of an "
                f"{ENV_FILE}, would make it so"
            )
    return found


def _networks(
    reader: Reader, declared: Mapping[str, Node], services: Mapping[str, Service], project: str, notes: list[str]
) -> tuple[dict[str, Network], Network]:
    """The networks that compose makes, or finds; it makes none that nobody is on. And the default bridge."""
    used = {key: attached.location for service in services.values() for key, attached in service.networks.items()}
    found = {key: read_network(reader, key, node, project) for key, node in declared.items()}
    for key, location in used.items():
        if key == "default" and key not in found:
            found[key] = read_network(reader, key, Node(location, "", location), project)
        elif key not in found:
            known = either([*declared, "default"])
            reader.written.wrong(
                location,
                f"there is no network '{said(key)}' in this file: write {known}, or describe it under 'networks'",
            )
    for service in services.values():
        other = service.mode.removeprefix("service:") if service.mode.startswith(SHARING[0]) else None
        if other is not None and other not in services:
            reader.written.wrong(
                service.location, f"service {service.name}: there is no active service '{said(other)}'"
            )
    default = next((n for n in found.values() if n.name == "bridge"), None)
    unused = [key for key, network in found.items() if key not in used and network is not default]
    if unused:
        notes.append(f"compose does not make what no active service is on: {listed(unused)}")
    here = built_in("bridge", reader.written.at(1), "bridge")
    return {key: n for key, n in found.items() if key in used}, default if default and default.facts else here
