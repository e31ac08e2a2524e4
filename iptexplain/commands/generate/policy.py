"""iptexplain generate policy"""

from __future__ import annotations

from functools import partial

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP
from iptexplain.commands._written import read_written, refuse
from iptexplain.commands.generate._wish import answer, before_option, families, wish_options
from iptexplain.errors import UsageError
from iptexplain.generate.policy import read_policy
from iptexplain.generate.together import meant, together
from iptexplain.generate.wish import lacks_user_chain


@click.command("policy", epilog=DUMP)
@click.argument("policy", metavar="POLICY")
@click.argument("dump", metavar="DUMP")
@before_option
@wish_options
@docker_option
@click.pass_context
def command(
    ctx: click.Context, policy: str, dump: str, before: bool, syntax: str, proof: str | None, inspected: str | None
) -> None:
    """Write rules for DOCKER-USER by many wishes of restrict, allow and isolate at once.

    POLICY is a YAML file with one list or more under the keys restrict, allow and isolate. One of POLICY and DUMP may be
    -, for standard input. All that is wrong with POLICY is said at once, each with its line, and so are wishes that
    contradict each other. It needs PyYAML.

    'restrict' has mappings such as - {port: 8080/tcp, from: 192.0.2.0/24}: 'from' is an address or a network, 'port',
    'container' and 'network' say which published ports, 'drop-rest: true' closes their networks to everything else from
    outside. No port may be in two of them.

    'allow' has mappings such as - {from: n1, to: "db:5432"}: 'from' may open connections to 'to', which can end in :PORT
    or :PORT/PROTOCOL.

    'isolate' has lists such as - [n1, n2, web]: nothing passes between any two of their networks and containers.

    'port' and both 'from' and 'to' can be a list. Nothing that is kept apart, or closed by 'drop-rest', may be allowed.

    The result is asked about all packets: whether every wish is fulfilled, and whether anything else changes. What came of
    it is said on standard error; the exit status is 1 when it is not so, or a family has no place for the rules.
    """
    if policy == dump == "-":
        raise UsageError("POLICY and DUMP cannot both be standard input: name a file for one of them")
    wishes, written = read_policy(read_written(policy, "POLICY"), policy)
    if not any(wishes):
        refuse(written.errors, "POLICY")
    found = meant(wishes, families(read_named(dump, inspected)), written)
    made = {s.family: together(s, here, written, before) for s, here in found if not lacks_user_chain(s)}
    if written.errors:
        refuse(written.errors, "POLICY")
    ctx.exit(answer([(s, partial(made.__getitem__, s.family)) for s, _ in found], syntax, proof))
