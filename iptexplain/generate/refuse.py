"""What rules written by hand cannot stand in for: an error that says what it is and where, never something left out."""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.errors import UsageError
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate import ext_bridges
from iptexplain.recognise.docker import Docker
from iptexplain.recognise.docker_namespace import Namespace


def refuse(situations: list[Situation]) -> None:
    """Raises UsageError with everything that cannot be expressed, each with its place in the source."""
    problems = [p for s in situations for p in _problems(s)]
    if not any(s.docker.layout for s in situations):
        files = ", ".join(dict.fromkeys(said(s.dump.file) for s in situations))
        problems = [f"{files}: there are no rules of Docker in it, so there is nothing to replace", *problems]
    if problems:
        raise UsageError("\n".join(problems))


def _problems(situation: Situation) -> Iterator[str]:
    docker = situation.docker
    if situation.half:
        yield (
            f"{said(situation.half.dump.file)}: IPv{situation.family} rules of both backends, nf_tables and legacy, are in it, and one file "
            "cannot load both: give the dump of one, and move the rules of the other there by hand"
        )
    if docker.layout and docker.layout.name is None:
        yield _at(
            situation,
            docker.layout.lines,
            "some of Docker's chains are missing, so nobody can say what its rules did: give a whole dump",
        )
    for found in docker.roles.of(*ext_bridges.ONE_EACH)[:1]:
        if missing := ext_bridges.problem(situation, str(found.values["set"])):
            yield _at(situation, (found.place.line,), missing)
    for rule in ext_bridges.asking(situation):
        text = (
            "this rule asks an IP set that Docker 28.0.0 fills only while it writes rules itself: "
            "let it ask for the subnets that are meant (-s, -d)"
        )
        yield _at(situation, (rule.line,), text)
    yield from _namespace(situation, docker.namespace)
    yield from _swarm(situation, docker)


def _namespace(situation: Situation, namespace: Namespace) -> Iterator[str]:
    if namespace.kind in ("container", "swarm-task", "load-balancer", "ingress-sandbox"):
        text = f'these are the rules inside of a {namespace.kind}, which Docker writes with "iptables": false, too: give the host\'s dump'
        yield _at(situation, namespace.lines, text)


def _swarm(situation: Situation, docker: Docker) -> Iterator[str]:
    for mesh in docker.mesh:
        text = (
            f"port {mesh.host_port}/{mesh.proto} of swarm's routing mesh: Docker sets up the mesh only when it may write rules "
            'itself. Publish the port with mode=host, or leave "iptables" on'
        )
        yield _at(situation, tuple(mesh.lines), text)
    for overlay in docker.encrypted:
        text = (
            f"an encrypted overlay network (VNI {overlay.vni}): Docker makes its keys anew again and again, and needs rules of its own "
            'for them. Leave "iptables" on'
        )
        yield _at(situation, tuple(overlay.lines), text)
    for found in docker.roles.of("jump-overlay")[:1]:
        yield _at(
            situation,
            (found.place.line,),
            "an overlay network in host mode: Docker fills its chains while tasks come and go",
        )


def _at(situation: Situation, lines: tuple[int, ...] | list[int], text: str) -> str:
    """``file:line: text`` and the line."""
    line = next(iter(lines), 0)
    where = f"{said(situation.dump.file)}:{line}: " if line else f"{said(situation.dump.file)}: "
    return where + text + (f"\n    {said(situation.dump.line(line))}" if line else "")
