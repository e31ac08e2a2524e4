"""The networks of a compose file, as 'docker network inspect' would show them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from iptexplain.errors import Location, OptionError
from iptexplain.explain.nodes import Node
from iptexplain.explain.words import said
from iptexplain.generate.compose.reader import Reader, subnet
from iptexplain.host.inspected import BRIDGE, OPTIONS
from iptexplain.host.snapshot import FAMILIES
from iptexplain.rules.addresses import Network as Subnet
from iptexplain.rules.values import Family

KEYS = (
    "name",
    "driver",
    "driver_opts",
    "ipam",
    "external",
    "internal",
    "enable_ipv4",
    "enable_ipv6",
    "attachable",
    "labels",
)
IPAM = ("driver", "config", "options")
CONFIG = ("subnet", "ip_range", "gateway", "aux_addresses")
NAME = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.-]*")
"""The names that Docker takes for networks and containers; a container's has two characters or more."""
PREFIX = "com.docker.network."
BESIDE = {f"{PREFIX}enable_ipv4": "enable_ipv4", f"{PREFIX}enable_ipv6": "enable_ipv6", f"{PREFIX}internal": "internal"}
"""What Docker takes no notice of among the options: it has keys of its own in a compose file."""
KNOWN = [name for name in OPTIONS if name.startswith(PREFIX) and name not in BESIDE]
TRUTHS = ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")
"""What the bridge driver takes for true and false (strconv.ParseBool of Go)."""
DRIVERS = {"": "bridge", "default": "bridge"}
EXTENSION = "x-iptexplain"
ASSUMED = "172.17.0.0/16"
"""The subnet of docker0 where daemon.json says nothing else."""
DOCKER0: dict[str, Any] = {
    "Name": "bridge", "Id": "", "Driver": "bridge", "Internal": False, "EnableIPv4": True, "EnableIPv6": False,
    "IPAM": {"Config": [{"Subnet": ASSUMED}]}, "Options": {f"{BRIDGE}name": "docker0", f"{BRIDGE}default_bridge": "true"},
}  # fmt: skip

OFF: dict[str, Any] = {
    "Id": "",
    "Internal": False,
    "EnableIPv4": False,
    "EnableIPv6": False,
    "IPAM": {"Config": []},
    "Options": {},
}
BUILT_IN = {
    "bridge": DOCKER0,
    "host": {"Name": "host", "Driver": "host", **OFF},
    "none": {"Name": "none", "Driver": "null", **OFF},
}
"""The networks that every engine has."""


class Network(NamedTuple):
    """A network; ``facts``: as 'docker network inspect' shows it, None for one that was made elsewhere, and is not described."""

    key: str
    location: Location
    name: str
    facts: dict[str, Any] | None
    is_external: bool = False
    subnets: tuple[tuple[Location, Subnet], ...] = ()

    @property
    def is_bridge(self) -> bool:
        return bool(self.facts and self.facts["Driver"] == "bridge")

    def is_on(self, family: Family) -> bool:
        return bool(self.facts and self.facts[f"EnableIPv{family}"])

    def subnets_of(self, family: Family) -> list[Subnet]:
        return [subnet for _, subnet in self.subnets if subnet.family == family]


def built_in(key: str, location: Location, name: str) -> Network:
    """A network that this file does not describe: every engine has it, or nobody knows what it is like."""
    facts = BUILT_IN.get(name)
    found = [(location, subnet(config["Subnet"])) for config in (facts or OFF)["IPAM"]["Config"]]
    return Network(key, location, name, facts, True, tuple(found))


def read_network(reader: Reader, key: str, node: Node, project: str) -> Network:
    """A network under ``networks``. One that is external may be described under x-iptexplain, in the words of a network."""
    what = f"network {key}"
    found = reader.mapping(node, what, KEYS)
    is_external, old_name = _external(reader, found.get("external"), what)
    name = reader.text(found.get("name"), f"{what}: name") or old_name or (key if is_external else f"{project}_{key}")
    if not NAME.fullmatch(name):
        reader.written.wrong(found.get("name", node).location, f"{what}: '{said(name)}' is no name of a network")
    if is_external:
        if EXTENSION not in found:
            return built_in(key, node.key, name)
        found = reader.mapping(
            found[EXTENSION], f"{what}: {EXTENSION}", [k for k in KEYS if k not in ("name", "external")]
        )
    options = _options(reader, found.get("driver_opts"), what)
    subnets = tuple(_subnets(reader, found.get("ipam"), what))
    driver = reader.text(found.get("driver"), f"{what}: driver")
    facts = {
        "Name": name, "Id": "", "Driver": DRIVERS.get(driver, driver),
        **{fact: reader.flag(found.get(own), f"{what}: {own}", default) for fact, own, default in (
            ("Internal", "internal", False), ("EnableIPv4", "enable_ipv4", True), ("EnableIPv6", "enable_ipv6", False))},
        "IPAM": {"Config": [config for _, config in subnets]}, "Options": {**DOCKER0["Options"], **options} if name == "bridge" else options,
    }  # fmt: skip
    return Network(
        key, node.key, name, facts, is_external, tuple((at, subnet(config["Subnet"])) for at, config in subnets)
    )


def _external(reader: Reader, node: Node | None, what: str) -> tuple[bool, str]:
    """Whether it is, and the name that the old form ``external: {name: ...}`` gives."""
    if node is not None and isinstance(node.value, dict):
        return True, reader.text(reader.mapping(node, f"{what}: external", ("name",)).get("name"), f"{what}: external")
    return reader.flag(node, f"{what}: external", False), ""


def _subnets(reader: Reader, node: Node | None, what: str) -> Iterator[tuple[Location, dict[str, str]]]:
    ipam = reader.mapping(node, f"{what}: ipam", IPAM)
    for item in reader.items(ipam.get("config"), f"{what}: ipam: config"):
        config = reader.mapping(item, f"{what}: ipam: config", CONFIG)
        texts = {key: reader.text(config.get(key), f"{what}: {key}") for key in ("subnet", "ip_range", "gateway")}
        if not texts["subnet"]:
            continue
        try:
            kept = {"Subnet": str(subnet(texts["subnet"]))}
        except OptionError as e:
            reader.written.wrong(config["subnet"].location, f"{what}: subnet: {e.message}")
            continue
        kept |= {"IPRange": texts["ip_range"]} if texts["ip_range"] else {}
        kept |= {"Gateway": texts["gateway"].partition("/")[0]} if texts["gateway"] else {}
        yield config["subnet"].location, kept


def _options(reader: Reader, node: Node | None, what: str) -> dict[str, str]:
    """Options that are not Docker's own do nothing to a bridge."""
    found = reader.mapping(node, f"{what}: driver_opts")
    asked = {key: each for key, each in found.items() if key.startswith(PREFIX)}
    for key in BESIDE.keys() & asked.keys():
        told = f"{what}: driver_opts: write '{BESIDE[key]}: true' beside driver_opts; here it does nothing"
        reader.written.wrong(asked[key].key, told)
    reader.written.check_keys({k: n for k, n in asked.items() if k not in BESIDE}, KNOWN, "it is no option of Docker's")
    options = {key: reader.text(found[key], f"{what}: {key}") for key in found if key in OPTIONS}
    for key in (f"{BRIDGE}enable_icc", f"{BRIDGE}enable_ip_masquerade"):
        if options.get(key, "true") not in TRUTHS:
            reader.written.wrong(found[key].location, f'{what}: {key}: write "true" or "false"')
    return options


def lacking(network: Network) -> Iterator[str]:
    """What a bridge's rules must name and only a running engine knows, with how to write it."""
    if network.facts is None:
        yield (
            f"network {network.key}: it is external, so this file does not say what it is like: describe it here under '{EXTENSION}' "
            "(driver_opts with its bridge's name, ipam with its subnet), as 'docker network inspect "
            f"{said(network.name)}' shows it"
        )
    if network.facts and network.facts["Driver"] == "overlay":
        yield f"network {network.key}: an overlay network belongs to a swarm, whose rules a compose file does not tell"
    if not network.is_bridge or not network.facts or network.facts is DOCKER0:
        return
    if not network.facts["Options"].get(f"{BRIDGE}name"):
        suggested = re.sub("[^A-Za-z0-9_.-]", "", f"br-{network.key}")[:15]
        yield (
            f"network {network.key}: the name of its bridge is missing, which Docker would make of a random id: write "
            f"{_written(network, f'driver_opts: {{{BRIDGE}name: {suggested}}}')}"
        )
    for family in FAMILIES:
        if network.is_on(family) and not network.subnets_of(family):
            yield (
                f"network {network.key}: its IPv{family} subnet is missing, for which Docker would take one that is free: write "
                f"{_written(network, f'ipam: {{config: [{{subnet: {EXAMPLE[family]}}}]}}')}"
            )


def stand_in(network: Network, number: int) -> dict[str, Any] | None:
    """A bridge in place of one that is not described in full, so that what is missing of its containers is told as well."""
    if not network.is_bridge and network.facts is not None:
        return None
    facts = network.facts or {**DOCKER0, "IPAM": {"Config": []}}
    missing = [EXAMPLE[f] for f in FAMILIES if facts[f"EnableIPv{f}"] and not network.subnets_of(f)]
    config = [*facts["IPAM"]["Config"], *({"Subnet": subnet} for subnet in missing)]
    return {
        **facts,
        "Name": network.name,
        "IPAM": {"Config": config},
        "Options": {f"{BRIDGE}name": f"stand-in{number}"},
    }


EXAMPLE: dict[Family, str] = {4: "192.168.100.0/24", 6: "fd00:100::/64"}


def _written(network: Network, what: str) -> str:
    """Where something of a network is written."""
    inside = f"{EXTENSION}: {{{what}}}" if network.is_external else what
    return f"'networks: {{{network.key}: {{{inside}}}}}'"
