"""Which Docker wrote the rules: the layout and what tells its engines apart, the namespace, and what does not fit one engine."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.situation import Situation
from iptexplain.explain.words import environment
from iptexplain.recognise.docker_leftover import Leftover
from iptexplain.recognise.docker_network import userland_proxy


class Said(NamedTuple):
    """A finding about the rules as a whole in words, with the lines that it is about."""

    kind: str
    says: str
    lines: tuple[int, ...]


def layout_facts(situation: Situation) -> dict[str, Any]:
    """What templates/documents/parts.j2 says about who wrote the rules."""
    layout, namespace = situation.docker.layout, situation.docker.namespace
    hints = layout.hints if layout else ()
    return {
        "layout": layout,
        "hints": [Said(h.name, _hint(h.name), lines) for h, lines in hints],
        "namespace": namespace,
        "guarded": layout is not None and "nat-unprotected" in layout.line.modes,
        "leftovers": [Said(x.kind, leftover_text(x), x.lines) for x in situation.docker.leftovers],
    }


def layout_json(situation: Situation) -> dict[str, Any] | None:
    """Who wrote the rules, as JSON; None when Docker wrote none."""
    docker, facts = situation.docker, layout_facts(situation)
    layout, namespace = docker.layout, docker.namespace
    if layout is None and namespace.kind is None:
        return None
    first, last = (layout.first, layout.last) if layout else (namespace.first, namespace.last)
    return {
        "layout": layout.name if layout else None,
        "versions": {"from": first, "to": last},
        "why": why(situation),
        "lines": list(layout.lines if layout else namespace.lines),
        "hints": [
            {"from": h.first, "to": h.last, "says": said.says, "lines": list(said.lines)}
            for said, (h, _) in zip(facts["hints"], layout.hints if layout else (), strict=True)
        ],
        "namespace": {**namespace._asdict(), "ports": [p._asdict() for p in namespace.ports]},
        "userland_proxy": userland_proxy(docker.roles),
        "accept_fwmark": next((f.values["mark"] for f in docker.roles.of("accept-mark")), None),
        "wsl2_mirrored": bool(docker.roles.of("wsl2-return", "wsl2-loopback")),
        "leftovers": [
            {
                "kind": x.kind,
                "family": situation.family,
                "table": x.table,
                "chains": list(x.chains),
                "bridges": list(x.bridges),
                "says": said.says,
                "lines": list(x.lines),
            }
            for x, said in zip(docker.leftovers, facts["leftovers"], strict=True)
        ],
    }


def why(situation: Situation) -> str:
    """Why the rules are of the layout, or of the namespace, that was recognised."""
    docker = situation.docker
    template = environment().get_template("documents/layout.j2")
    return plain(template.render(layout=docker.layout, namespace=docker.namespace))


def leftover_text(leftover: Leftover) -> str:
    """What does not fit, in words."""
    return plain(environment().get_template("recognise/docker_leftover.j2").render(**leftover._asdict()))


def _hint(name: str) -> str:
    return plain(environment().get_template("documents/hint.j2").render(name=name))


def plain(text: str) -> str:
    """Rendered words on one line, without code marks."""
    return " ".join(text.replace("`", "").split())
