"""iptexplain generate policy"""

from __future__ import annotations

from functools import partial

import click

from iptexplain.commands._compose import env_file_option, surroundings
from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP
from iptexplain.commands._written import read_written, refuse
from iptexplain.commands.generate._wish import answer, before_option, families, wish_options
from iptexplain.errors import UsageError
from iptexplain.generate.compose.project import is_compose, read_project
from iptexplain.generate.compose.wishes import wishes_of
from iptexplain.generate.policy import read_policy
from iptexplain.generate.together import meant, together
from iptexplain.generate.wish import lacks_user_chain


@click.command("policy", epilog=DUMP)
@click.argument("policy", metavar="POLICY")
@click.argument("dump", metavar="DUMP")
@before_option
@wish_options
@docker_option
@env_file_option
@click.pass_context
def command(
    ctx: click.Context, policy: str, dump: str, before: bool, syntax: str, proof: str | None, inspected: str | None,
    env_files: tuple[str, ...],
) -> None:  # fmt: skip
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

    POLICY can be a compose file, too: then each service can have such wishes under the key x-iptexplain, about its own
    containers, each a single one or a list. 'restrict' is a mapping with 'from', and with 'port' and 'drop-rest' where
    they matter. 'allow' is to whom it may open connections, such as db:5432, 'allow-from' who may open connections to it,
    a name or a mapping with 'from' and 'port'; 'isolate' is from whom it is kept apart. Names are those of services and
    networks of the file, or of DUMP. A service's containers are found in DUMP by their names, their addresses, or their
    published ports.

    The result is asked about all packets: whether every wish is fulfilled, and whether anything else changes. What came of
    it is said on standard error; the exit status is 1 when it is not so, or a family has no place for the rules.
    """
    if policy == dump == "-":
        raise UsageError("POLICY and DUMP cannot both be standard input: name a file for one of them")
    text = read_written(policy, "POLICY")
    if is_compose(text):
        around = surroundings(policy, env_files)
        project = read_project(text, policy, around.folder, around.variables)
        situations = families(read_named(dump, inspected))
        wishes, written = wishes_of(project, situations), project.written
        for note in () if written.errors else project.assumed():
            click.echo(f"note: {note}", err=True)
    else:
        wishes, written = read_policy(text, policy)
        if not any(wishes):
            refuse(written.errors, "POLICY")
        situations = families(read_named(dump, inspected))
    found = meant(wishes, situations, written)
    made = {s.family: together(s, here, written, before) for s, here in found if not lacks_user_chain(s)}
    if written.errors:
        refuse(written.errors, "POLICY")
    ctx.exit(answer([(s, partial(made.__getitem__, s.family)) for s, _ in found], syntax, proof))
