"""Which lines of a dump are Docker's, so that they can be taken out, or kept alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from iptexplain.recognise.docker import Docker
from iptexplain.recognise.shape import has_shapes
from iptexplain.rules.model import Chain, Jump, Place, Rule, Ruleset

USER = ("filter", "DOCKER-USER")


class Share(NamedTuple):
    """Docker's share of one ruleset, by line numbers.

    ``chains``: the lines that declare its chains; ``rules``: those of its rules, and of others in its chains (``stray``), with
    their places; ``held``: the declarations of its chains that rules of others lead to, which must therefore stay; ``user``:
    DOCKER-USER's lines, when somebody wrote rules there: the jumps to it, its declaration and its rules; ``naming``: the
    rules of others that name an interface of Docker's.
    """

    ruleset: Ruleset
    docker: Docker
    chains: tuple[int, ...]
    rules: dict[int, Place]
    stray: tuple[int, ...]
    held: tuple[int, ...]
    user: tuple[int, ...]
    naming: tuple[int, ...]

    @property
    def lines(self) -> frozenset[int]:
        """All of Docker's lines."""
        return frozenset({*self.chains, *self.rules})

    def followed(self, place: Place) -> bool:
        """Whether a rule that is not Docker's stands further down in the chain of a rule of Docker's."""
        rules = self.ruleset.tables[place.table].chains[place.chain].rules
        return any(rule.line not in self.rules for rule in rules[int(place.rule) :])


def share(ruleset: Ruleset, docker: Docker) -> Share:
    """Docker's share of a ruleset.

    DOCKER-USER stays whole, with the jumps to it, when it has rules that Docker did not write: Docker leaves the chain alone
    and puts its jump back on top when it starts, and until then the rules count as well. A chain of Docker's own goes with
    all that is in it, because Docker empties it when it starts.
    """
    placed = list(_placed(ruleset))
    is_kept = bool(docker.user_rules)
    own = {
        (table, chain.name): chain.line
        for table, chain in _chains(ruleset)
        if not (is_kept and (table, chain.name) == USER) and _is_dockers(table, chain, docker)
    }
    rules = {
        rule.line: place
        for place, rule in placed
        if (place.table, place.chain) in own
        or (place in docker.roles.by_place and not (is_kept and _is_users(place, rule)))
    }
    rest = [(place, rule) for place, rule in placed if rule.line not in rules]
    wanted = {(place.table, rule.target.chain) for place, rule in rest if isinstance(rule.target, Jump)}
    bridges = {network.bridge for network in docker.networks}
    users = [rule.line for place, rule in rest if _is_users(place, rule)]
    chain = ruleset.chain(*USER)
    return Share(
        ruleset=ruleset,
        docker=docker,
        chains=tuple(line for line in own.values() if line),
        rules=rules,
        stray=tuple(f.rule.line for f in docker.stray if f.rule.line in rules),
        held=tuple(line for key, line in own.items() if key in wanted and line),
        user=tuple(sorted({chain.line, *users})) if is_kept and chain else (),
        naming=tuple(rule.line for place, rule in rest if bridges & _interfaces(rule) and not _is_users(place, rule)),
    )


def _chains(ruleset: Ruleset) -> Iterator[tuple[str, Chain]]:
    return ((t.name, c) for t in ruleset.tables.values() for c in t.chains.values() if c.policy is None)


def _placed(ruleset: Ruleset) -> Iterator[tuple[Place, Rule]]:
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            yield from chain.placed(table.name)


def _is_dockers(table: str, chain: Chain, docker: Docker) -> bool:
    """Docker writes into a chain of this name, or all that is in it is Docker's (an overlay network's chain)."""
    places = [place for place, _ in chain.placed(table)]
    return has_shapes(table, chain.name) or (bool(places) and all(p in docker.roles.by_place for p in places))


def _is_users(place: Place, rule: Rule) -> bool:
    """Whether a rule stands in DOCKER-USER or leads there."""
    leads = isinstance(rule.target, Jump) and rule.target.chain == USER[1]
    return place.table == USER[0] and (leads or place.chain == USER[1])


def _interfaces(rule: Rule) -> set[str]:
    return {rule.parameters.value("i"), rule.parameters.value("o")}
