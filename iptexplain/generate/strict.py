"""Style ``strict``: nothing is forwarded to or from containers but published ports, answers, and what is asked for."""

from __future__ import annotations

from iptexplain.explain.situation import Situation
from iptexplain.generate.draft import Draft, DraftTable, Entry
from iptexplain.generate.engine import ANSWERS
from iptexplain.generate.names import own_name
from iptexplain.generate.ports import group_ports
from iptexplain.recognise.docker import Docker
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_port import Link, Port
from iptexplain.recognise.shape import Found

KEPT = ("jump-user", "user-end")
"""Roles of filter's rules that stay: the administrator's place."""

APART = ("proxied", "proxied-answers", "proxied-port", "jump-isolation", "jump-internal", "subnet-pair", "isolation-pair",
         "isolation-leaving", "isolation-entering", "isolation-end", "isolation-end-old", "routed-answers", "routed-entering", "internal-in",
         "internal-out", "internal-in-both", "internal-out-both")  # fmt: skip
"""Roles of what keeps networks apart, and of what passes in spite of it: they stay, too, at the top of our own rules."""


def close(draft: Draft, situation: Situation, egress: frozenset[str]) -> None:
    """Put closed rules in place of Docker's in ``filter``; ``egress``: the bridges whose containers may open connections."""
    table = draft.table("filter")
    docker = situation.docker
    at = _place(table)
    kept = [e for name in ("FORWARD", "DOCKER-FORWARD") for e in table.chains.get(name, ()) if e.reason.name in APART]
    for name, entries in table.chains.items():
        roles = KEPT if name in ("FORWARD", "DOCKER-FORWARD") else (*KEPT, *APART)
        table.chains[name] = [e for e in entries if not e.own or e.reason.name in roles]
    shut = [
        draft.entry("filter", f"FORWARD -i {n.bridge} ! -o {n.bridge} -j DROP", "strict-internal", bridge=n.bridge)
        for n in docker.networks
        if not _is_open(n)
    ]
    entering = [_entering(draft, table, n, docker) for n in docker.networks]
    leaving = [_leaving(draft, table, n, n.bridge in egress) for n in docker.networks if _is_open(n)]
    kept = [e._replace(rule=e.rule._replace(chain="FORWARD")) for e in kept]
    table.chains["FORWARD"][at:at] = [*kept, *shut, *entering, *leaving]
    for each in draft.tables.values():
        for name, entries in each.chains.items():
            each.chains[name] = group_ports(entries, draft.family)


def _is_open(network: Network) -> bool:
    """Whether containers may send to outside at all: the network is not internal, and has this family's addresses."""
    return not network.internal and not network.lines.keys().isdisjoint(("outgoing", "all-outgoing"))


def _place(table: DraftTable) -> int:
    """Where Docker's rules begin in FORWARD, counted without them."""
    entries = table.chains["FORWARD"]
    closed = [e.own and e.reason.name not in KEPT for e in entries]
    before = closed.index(True) if True in closed else len(closed)
    return before


def _entering(draft: Draft, table: DraftTable, network: Network, docker: Docker) -> Entry:
    """What may enter a network."""
    bridge = network.bridge
    texts: list[Text] = [("strict-answers", ANSWERS, {})] if _is_open(network) else []
    policy = table.policies.get("FORWARD")
    if network.icc or (network.icc is None and policy == "ACCEPT"):
        texts.append(("strict-icc", f"-i {bridge}", {}))
    else:
        texts += [_link(link) for link in docker.links if link.bridge == bridge]
    if _is_open(network):
        texts += [_published(port) for port in docker.ports if port.bridge == bridge]
        texts += [_opened(found) for found in docker.opened if found.values["bridge"] == bridge]
    rules = [
        draft.entry("filter", f"FORWARD {text} -j ACCEPT", name, bridge=bridge, **values)
        for name, text, values in {text: (name, text, values) for name, text, values in texts}.values()
    ]
    rules.append(draft.entry("filter", "FORWARD -j DROP", "strict-entering", bridge=bridge))
    chain = table.add_chain(own_name("DOCKER-TO", bridge), rules)
    return draft.entry("filter", f"FORWARD -o {bridge} -j {chain}", "strict-to", bridge=bridge)


def _leaving(draft: Draft, table: DraftTable, network: Network, may_open: bool) -> Entry:
    """What containers may send to where no other network is."""
    bridge = network.bridge
    rules = [draft.entry("filter", f"FORWARD {ANSWERS} -j ACCEPT", "strict-answering", bridge=bridge)]
    if may_open:
        rules = [draft.entry("filter", "FORWARD -j ACCEPT", "strict-egress", bridge=bridge)]
    else:
        rules.append(draft.entry("filter", "FORWARD -j DROP", "strict-leaving", bridge=bridge))
    chain = table.add_chain(own_name("DOCKER-FROM", bridge), rules)
    return draft.entry("filter", f"FORWARD -i {bridge} -j {chain}", "strict-from", bridge=bridge)


Text = tuple[str, str, dict[str, str | None]]
"""A reason's name, a rule's conditions, and the reason's values."""


def _published(port: Port) -> Text:
    values: dict[str, str | None] = {"ip": port.container_ip, "proto": port.proto, "port": str(port.container_port)}
    return "proxied-port", f"{_to(**values)} -m conntrack --ctstate DNAT", values


def _opened(found: Found) -> Text:
    values = {key: found.values[key] for key in ("ip", "proto", "port")}
    return "strict-opened", _to(**values), values


def _link(link: Link) -> Text:
    values: dict[str, str | None] = {"ip": link.server, "proto": link.proto, "port": str(link.port)}
    return "link", f"-s {link.client} -i {link.bridge} {_to(**values)}", {**values, "peer": link.client}


def _to(ip: str | None, proto: str | None, port: str | None) -> str:
    return f"-d {ip} -p {proto} -m {proto} --dport {port}"
