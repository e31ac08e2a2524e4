"""The ends of a trace as people name them: an address, a container, a network, an interface, ``host`` or ``internet``."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import OptionError, UsageError
from iptexplain.host.infer import EXAMPLE_OUTSIDE
from iptexplain.host.topology import Assumption, Topology
from iptexplain.rules.addresses import BITS, Address, to_address
from iptexplain.rules.values import to_port


class End(NamedTuple):
    """One end of a flow: its address, the interface that leads to it ("" for the host itself), the port if one was given."""

    address: Address
    interface: str
    port: int | None
    name: str | None
    assumptions: tuple[Assumption, ...] = ()


def split_port(text: str) -> tuple[str, int | None]:
    """``NAME:PORT``, ``ADDRESS:PORT`` and ``[IPV6]:PORT`` without their port."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise UsageError(f"'{text}': the bracket is not closed")
        return inside, _port(rest[1:]) if rest else None
    name, colon, port = text.rpartition(":")
    if not colon or ":" in name:
        return text, None
    return name, _port(port)


def _port(text: str) -> int:
    try:
        return to_port(text)
    except OptionError as e:
        raise UsageError(e.message) from None


def resolve(text: str, topology: Topology, bridges: dict[str, str]) -> End:
    """The end that ``text`` names. ``bridges``: network name → bridge. Raises UsageError with what there is to choose from."""
    name, port = split_port(text)
    if name == "host":
        return End(_host_address(topology), "", port, "host")
    if name == "internet":
        return _outside(topology, port)
    if _is_address(name):
        address = to_address(name)
        if address.family != topology.family:
            raise UsageError(f"{name} is IPv{address.family}, but the rules asked are IPv{topology.family}")
        return _at_address(address, topology, port)
    for endpoint in topology.endpoints:
        if endpoint.name == name and endpoint.addresses:
            return End(endpoint.addresses[0], endpoint.interface, port, name)
    bridge = bridges.get(name, name)
    subnet = next((a for a in topology.addresses if a.interface == bridge), None)
    stranger = somebody_on(bridge, topology) if bridge in topology.bridges else None
    if stranger:
        return stranger._replace(port=port)
    if subnet:
        outside = _outside(topology, port)
        return outside._replace(interface=bridge)
    names = [e.name for e in topology.endpoints] + list(bridges) + sorted({a.interface for a in topology.addresses})
    known = ", ".join(dict.fromkeys(["host", "internet", *names]))
    raise UsageError(f"'{name}' is no address, and nothing here has that name: there are {known}")


def _is_address(text: str) -> bool:
    try:
        to_address(text)
    except OptionError:
        return False
    return True


def _host_address(topology: Topology) -> Address:
    outside = [a.address for a in topology.addresses if a.interface not in topology.bridges and a.interface != "lo"]
    if not outside:
        raise UsageError("the snapshot lists no address of the host outside its bridges: name one")
    return outside[0]


def _at_address(address: Address, topology: Topology, port: int | None) -> End:
    endpoint = topology.endpoint_at(address)
    if topology.is_local(address):
        return End(address, "", port, None)
    route = topology.route(address)
    interface = endpoint.interface if endpoint else route.interface if route else ""
    notes: tuple[Assumption, ...] = ()
    if not topology.known_addresses and interface not in topology.bridges:
        notes = (Assumption("foreign_address", {"address": str(address)}),)
    return End(address, interface, port, endpoint.name if endpoint else None, notes)


def _outside(topology: Topology, port: int | None) -> End:
    example = to_address(EXAMPLE_OUTSIDE[topology.family])
    route = topology.route(example)
    if route is None:
        raise UsageError("there is no default route: the internet is not reached from here")
    note = Assumption("internet", {"address": str(example), "interface": route.interface})
    return End(example, route.interface, port, "internet", (note,))


def somebody_on(bridge: str, topology: Topology, other_than: Address | None = None) -> End | None:
    """A container of a network: one that is known, best one of this network alone, else a high address of the subnet."""
    names = [e.name for e in topology.endpoints]
    here = [e for e in topology.endpoints if e.interface == bridge and e.addresses and e.addresses[0] != other_than]
    known = min(here, key=lambda e: names.count(e.name), default=None)
    if known:
        return End(known.addresses[0], bridge, None, known.name)
    own = next((a for a in topology.addresses if a.interface == bridge), None)
    if own is None or own.network.is_host:
        return None
    top = own.network.number | own.network.mask ^ (1 << BITS[own.network.family]) - 1
    free = (Address(own.network.family, top - n) for n in (1, 2))
    address = next((a for a in free if a not in (other_than, own.address)), None)
    if address is None:
        return None
    return End(address, bridge, None, None, (Assumption("somebody", {"address": str(address), "bridge": bridge}),))
