"""The layouts of Docker's rules: which engines write which, and the signs by which they are known. A new one is added here."""

from __future__ import annotations

from typing import NamedTuple

Signs = tuple[str, ...]
"""What must all be there: a jump of table filter (``A -j B``), a user chain (``B`` of filter, or ``nat/B``), a rule with a
role, or one of docker_chains.READINGS; after ``!`` what must not be there."""


class Hint(NamedTuple):
    """Signs that only some engines of a layout leave: those from ``first`` to ``last``.

    ``certain``: the running engine alone decides them; else an older one, or a person, may have left them.
    """

    name: str
    signs: Signs
    first: str | None = None
    last: str | None = None
    certain: bool = False


class Line(NamedTuple):
    """The engines whose rules have one layout (``first`` to ``last``; None: no limit is known)."""

    name: str | None
    first: str | None
    last: str | None
    signs: tuple[Signs, ...]
    """One of these must be there."""
    chains: frozenset[str]
    """The chains of table filter that these engines fill."""
    flushed: tuple[Signs, ...] = ()
    """Signs that stay when FORWARD or more was flushed; they count when no layout has its whole signs."""
    frame: tuple[str, ...] = ()
    """The roles of rules that are there with any network."""
    network: tuple[str, ...] = ()
    """The roles of the rules that each network has that is not internal (``a|b``: one of them)."""
    modes: tuple[str, ...] = ("nat",)
    """The gateway modes that there are."""
    hints: tuple[Hint, ...] = ()

    @property
    def in_forward(self) -> bool:
        """Whether these engines write each network's rules straight into FORWARD."""
        return "DOCKER-FORWARD" not in self.chains


NAT = ("jump-published-in", "jump-published-out")
PER_BRIDGE = ("established", "to-ports", "outgoing", "icc|no-icc")
APART = ("isolation-leaving", "isolation-entering")
GUARDED = ("outgoing|all-outgoing", "unpublished|unprotected")
STAGED = frozenset({"DOCKER", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"})
FORWARDED = frozenset({"DOCKER", "DOCKER-USER", "DOCKER-FORWARD", "DOCKER-CT", "DOCKER-BRIDGE"})
ALL_MODES = ("nat", "routed", "nat-unprotected")
NOT_BEFORE_28 = ("!FORWARD -j DOCKER-ISOLATION-STAGE-1", "!FORWARD -j DOCKER-ISOLATION")

LINES = (
    Line(
        "internal-chain",
        first="29.0.0",
        last=None,
        signs=(("DOCKER-FORWARD -j DOCKER-INTERNAL", *NOT_BEFORE_28),),
        flushed=(("DOCKER-INTERNAL", "!DOCKER-ISOLATION-STAGE-1"),),
        chains=FORWARDED | {"DOCKER-INTERNAL"},
        frame=(*NAT, "jump-forward", "jump-ct", "jump-internal", "jump-bridge"),
        network=("established", "to-ports", *GUARDED),
        modes=ALL_MODES,
        hints=(Hint("direct-subnet", ("direct-subnet",), first="29.7.2"),),
    ),
    Line(
        "forward-ct-bridge",
        first="28.0.1",
        last="28.5.2",
        signs=(("DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1", *NOT_BEFORE_28),),
        flushed=(("DOCKER-CT", "DOCKER-ISOLATION-STAGE-1", *NOT_BEFORE_28),),
        chains=FORWARDED | STAGED,
        frame=(*NAT, "jump-forward", "jump-ct", "jump-isolation", "jump-bridge"),
        network=("established", "to-ports", *APART, *GUARDED),
        modes=ALL_MODES,
        hints=(
            Hint("direct-port", ("direct-port", "!direct"), first="28.0.1", last="28.1.1", certain=True),
            Hint("direct", ("direct", "!direct-port"), first="28.2.0", last="28.5.2", certain=True),
            Hint("no-user-end", ("no-user-end", "!direct-port"), first="28.2.0", last="28.5.2", certain=True),
            Hint("no-user-end-yet", ("no-user-end", "!direct-port"), first="28.2.2"),
        ),
    ),
    Line(
        "ext-bridges",
        first="28.0.0",
        last="28.0.0",
        signs=(("external-ports", "default-of-network"), ("external-ports", "!ports-in-forward")),
        chains=STAGED,
        frame=(*NAT, "external-answers", "external-ports", "jump-isolation"),
        network=(*APART, *GUARDED),
        modes=ALL_MODES,
    ),
    Line(
        "isolation-user",
        first="17.06",
        last="18.03.0",
        signs=(
            ("DOCKER-ISOLATION", "DOCKER-USER", "!DOCKER-ISOLATION-STAGE-1"),
            ("DOCKER-ISOLATION", "DOCKER-USER", "FORWARD -j DOCKER-ISOLATION", "isolation-end-old"),
        ),
        chains=frozenset({"DOCKER", "DOCKER-USER", "DOCKER-ISOLATION"}),
        frame=(*NAT, "jump-isolation"),
        network=PER_BRIDGE,
    ),
    Line(
        "stage-isolation",
        first="18.03.1",
        last="27.5.1",
        signs=(
            ("DOCKER-ISOLATION-STAGE-1", "!DOCKER-FORWARD"),
            ("DOCKER-ISOLATION-STAGE-1", "FORWARD -j DOCKER-ISOLATION-STAGE-1"),
        ),
        chains=STAGED,
        frame=(*NAT, "jump-isolation"),
        network=(*PER_BRIDGE, *APART),
        modes=("nat", "routed"),
        hints=(
            Hint("snat", ("snat",), first="20.10"),
            Hint("ipv6", ("ipv6",), first="20.10"),
            Hint("mesh-state", ("mesh-answer-state",), last="24.0.9"),
            Hint("mesh-conntrack", ("mesh-answer",), first="25.0.0"),
            Hint("overlay-bpf", ("overlay-mark-bpf",), first="20.10.24"),
            Hint("overlay-u32", ("overlay-mark-u32",), last="24.0.9"),
            Hint("internal-both", ("internal-in-both",), first="24.0.6"),
            Hint("wsl2", ("wsl2-return",), first="27.3.0"),
        ),
    ),
    Line(
        "isolation",
        first="1.10",
        last="17.05",
        signs=(("DOCKER-ISOLATION", "!DOCKER-ISOLATION-STAGE-1"),),
        chains=frozenset({"DOCKER", "DOCKER-ISOLATION"}),
        frame=(*NAT, "jump-isolation"),
        network=PER_BRIDGE,
        hints=(
            Hint("answers-first", ("answers-first",), first="17.03"),
            Hint("answers-last", ("answers-last",), last="1.13"),
        ),
    ),
    Line(
        "subnet-isolation",
        first="1.9",
        last="1.9",
        signs=(("DOCKER", "subnet-pairs", "!DOCKER-USER", "!DOCKER-CT"),),
        chains=frozenset({"DOCKER"}),
        frame=NAT,
        network=PER_BRIDGE,
    ),
    Line(
        "filter-chain",
        first="1.5",
        last="1.9",
        signs=(("DOCKER", "!DOCKER-USER", "!DOCKER-CT"),),
        chains=frozenset({"DOCKER"}),
        frame=NAT,
        network=PER_BRIDGE,
    ),
    Line(
        "nat-only",
        first="0.1",
        last="1.4",
        signs=(("nat/DOCKER", "established", "outgoing", "!skip-dnat", "!hairpin-of-port", "!DOCKER"),),
        chains=frozenset(),
        frame=NAT,
        network=("established", "outgoing", "icc|no-icc"),
        hints=(
            Hint("masquerade-to", ("masquerade-to",), last="1.1"),
            Hint("masquerade-out", ("masquerade",), first="1.2"),
        ),
    ),
)
"""Every layout, the newest first. Versions and signs are those of Docker's sources."""

REMAINS = Line(
    None,
    first=None,
    last=None,
    signs=(),
    chains=FORWARDED | STAGED | {"DOCKER-INTERNAL", "DOCKER-ISOLATION"},
    modes=ALL_MODES,
)
"""Some of Docker's rules are there, but not those that tell the layout: a table was flushed, or is not in the dump."""
