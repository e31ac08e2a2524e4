"""iptexplain strip"""

from __future__ import annotations

import sys

import click

from iptexplain.commands._io import DUMP, dump_argument, read
from iptexplain.errors import UsageError
from iptexplain.explain.words import environment
from iptexplain.outputs.strip import kept, stripped
from iptexplain.recognise.docker import recognise_docker
from iptexplain.recognise.docker_share import Share, share


@click.command("strip", epilog=DUMP)
@dump_argument
@click.option(
    "--keep",
    type=click.Choice(["docker"]),
    help="The opposite: print Docker's rules alone; 'iptables-restore --noflush' adds them to the rest.",
)
def command(dump: str, keep: str | None) -> None:
    """Print the dump without Docker's rules, ready to be persisted.

    Docker writes its rules when it starts, so a file that is restored at boot must not have them. What is printed are the
    dump's own lines; notes on standard error say which were taken out, and which stayed. DOCKER-USER stays when it has
    rules that Docker did not write, and so do the policies.
    """
    snapshot = read(dump)
    parts = [(d, [share(r, recognise_docker(r, snapshot.facts)) for r in d.rulesets]) for d in snapshot.dumps]
    if keep and not any(s.lines for _, shares in parts for s in shares):
        raise UsageError(f"{dump}: none of these rules has the form of Docker's, so there is nothing to keep")
    texts = [kept(d, shares) if keep else stripped(d, shares) for d, shares in parts]
    _tell([(d.file, s) for d, shares in parts for s in shares], keep)
    sys.stdout.flush()
    sys.stdout.buffer.write(_joined(texts).encode("utf-8", "surrogateescape"))


def _joined(texts: list[str]) -> str:
    """The texts one after the other, each on lines of its own."""
    return "".join(t if t.endswith("\n") or not t else f"{t}\n" for t in texts[:-1]) + texts[-1]


def _tell(shares: list[tuple[str, Share]], keep: str | None) -> None:
    """What was taken out and what stayed, on standard error."""
    template = environment().get_template("documents/strip.j2")
    for file, each in shares:
        told = template.render(file=file, share=each, alone=len(shares) == 1, keep=keep)
        for note in filter(None, (" ".join(line.split()) for line in told.split("\n"))):
            click.echo(f"note: {note.replace('`', '')}", err=True)
