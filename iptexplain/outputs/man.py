"""The manual pages. Their templates are written in a small part of Markdown, like the documents; here it becomes roff."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import NamedTuple

import click

from iptexplain.explain.words import environment
from iptexplain.lint.examples import changed
from iptexplain.lint.finding import lints
from iptexplain.outputs.man_rules import rules

BOLD, ITALIC, ROMAN = r"\fB", r"\fI", r"\fR"
ESCAPES = str.maketrans({"\\": r"\e", "-": r"\-", "^": r"\(ha", "~": r"\(ti", "`": r"\(ga"})
"""Characters that roff would take for a request, or would print as a look-alike."""


class Setting(NamedTuple):
    """One option of a command: names, what stands for its value ("" for a flag), help, and default ("" for none)."""

    names: tuple[str, ...]
    value: str
    help: str
    default: str


class Described(NamedTuple):
    """One command as click knows it: its words, its arguments, its help by paragraph, its epilog, its options."""

    words: str
    arguments: tuple[str, ...]
    help: tuple[str, ...]
    epilog: str
    settings: tuple[Setting, ...]


def page(program: click.Group, name: str) -> str:
    """The manual page of ``program`` as roff: the same bytes every time, whatever the version and the day."""
    top = click.Context(program, info_name=name, **program.context_settings)
    commands = list(_commands(program, top))
    counts = [s for c in commands for s in c.settings]
    shared = tuple(dict.fromkeys(s for s in counts if counts.count(s) > 1))
    template = environment().get_template(f"man/{name}.1.j2")
    text = template.render(
        name=name, program=_described(program, top), commands=commands, shared=shared, plain=plain, typed=typed,
        lints=lints().values(), changed=changed,
    )  # fmt: skip
    return roff(text, name)


def docker_page(name: str) -> str:
    """What Docker does with netfilter, as roff for section 7: each statement with a rule that shows it."""
    text = environment().get_template(f"man/{name}-docker.7.j2").render(name=name, rules=rules)
    return roff(text, name, "man docker")


def _commands(group: click.Group, context: click.Context) -> Iterator[Described]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        own = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from _commands(command, own)
        else:
            yield _described(command, own)


def _described(command: click.Command, context: click.Context) -> Described:
    parameters = command.get_params(context)
    options = [p for p in parameters if isinstance(p, click.Option) and not p.hidden]
    arguments = [p for p in parameters if isinstance(p, click.Argument)]
    paragraphs = [" ".join(p.split()) for p in cleandoc(command.help or "").split("\n\n")]
    return Described(
        context.command_path.partition(" ")[2],
        tuple(a.metavar or (a.name or "").upper() for a in arguments),
        tuple(paragraphs),
        " ".join((command.epilog or "").split()),
        tuple(map(_setting, options)),
    )


def _setting(option: click.Option) -> Setting:
    value = ""
    if not option.is_flag and not option.count:
        choices = "|".join(map(str, option.type.choices)) if isinstance(option.type, click.Choice) else ""
        value = option.metavar or choices or option.type.name.upper()
    default = str(option.default) if option.show_default else ""
    names = sorted([*option.opts, *option.secondary_opts], key=len)  # click 8.1 keeps those of --help in a set
    return Setting(tuple(names), value, " ".join((option.help or "").split()), default)


def plain(text: str) -> str:
    """Text from click for the template, where stars, code marks and backslashes mean something."""
    return re.sub(r"([\\*`])", r"\\\1", text)


def typed(words: str) -> str:
    """What is typed in bold, and in italics the words in capitals, which stand for something else."""
    return re.sub(r"[A-Z]+|[^A-Z\[\]|. ]+", lambda m: f"*{m[0]}*" if m[0].isupper() else f"`{m[0]}`", words)


def roff(text: str, name: str, command: str = "man") -> str:
    """A document in Markdown as a page: ``% title``, headings, paragraphs, ``: definition`` below a term and lists."""
    lines = [rf".\" Rendered by '{name} {command}'; do not edit."]
    for block in _blocks(text):
        shown = _block(block)
        # A heading ends a paragraph by itself.
        lines += shown[1:] if shown[0] == ".PP" and lines[-1].startswith((".SH", ".SS")) else shown
    return "\n".join(lines) + "\n"


def _blocks(text: str) -> Iterator[list[str]]:
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.strip():
            yield block.strip("\n").split("\n")


def _block(lines: list[str]) -> list[str]:
    first = lines[0]
    if first.startswith("% "):
        return [f".TH {first[2:]}", ".nr HY 0", ".nh", ".ad l"]  # no hyphens and no wide gaps in what may be copied
    if first.startswith("#"):
        macro = ".SH" if first.startswith("# ") else ".SS"
        return [f"{macro} {_quoted(first.lstrip('# '))}"]
    if first.startswith("    "):
        return [".PP", ".RS 4", ".EX", *(_guarded(_escaped(line[4:])) for line in lines), ".EE", ".RE"]
    shown = []
    for line in lines:
        words = line.strip()
        if line.startswith("- "):
            shown += [r".IP \(bu 2", _line(words[2:])]
        elif words.startswith(": "):
            shown[-1:] = [".TP", shown[-1], _line(words[2:])]
        elif words.endswith(" \\"):
            shown += [_line(words[:-2]), ".br"]
        else:
            shown.append(_line(words))
    return shown if shown[0].startswith((".IP", ".TP")) else [".PP", *shown]


def _quoted(words: str) -> str:
    return '"' + _escaped(words).replace('"', r"\(dq") + '"' if " " in words else _escaped(words)


def _line(words: str) -> str:
    return _guarded(_spans(words))


def _guarded(line: str) -> str:
    """A line of text that begins with a dot or a quote would be a request."""
    return r"\&" + line if line.startswith((".", "'")) else line


def _escaped(text: str) -> str:
    return text.translate(ESCAPES)


def _spans(words: str) -> str:
    """Code marks become bold, stars italics; a backslash takes the meaning from either."""
    shown = []
    for escaped, code, stars, other in re.findall(r"\\([\\*`])|`([^`]*)`|\*([^*]+)\*|([^\\*`]+|.)", words):
        if code or stars:
            shown.append((BOLD if code else ITALIC) + _escaped(code or stars) + ROMAN)
        else:
            shown.append(_escaped(escaped or other))
    return "".join(shown)
