"""Programs beside Docker: what they wrote is told from the rest, said, and told how it meets Docker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.recognise.program import Program
from iptexplain.recognise.programs import recognise_programs
from iptexplain.rules.parse import parse
from tests.conftest import ROOT, Golden

PROGRAMS = ROOT / "fixtures" / "programs"
DUMPS = sorted(PROGRAMS.glob("*/*/rules.v[46]"))
IDS = [f"{d.parent.parent.name}-{d.parent.name}" for d in DUMPS]
PATTERNS = {"docker-dumps/*/*.txt": 475, "docker/*/*/rules.v4": 10}
"""Where the dumps of Docker hosts lie, and how many there are at least."""
FOUND = {
    pattern: [d for d in sorted((ROOT / "fixtures").glob(pattern)) if d.read_text().strip()] for pattern in PATTERNS
}
DOCKERS = [dump for dumps in FOUND.values() for dump in dumps]


def test_there_are_dumps() -> None:
    assert len(DUMPS) >= 25
    assert all(len(FOUND[pattern]) >= least for pattern, least in PATTERNS.items())


def told(text: str, *arguments: str) -> str:
    result = CliRunner().invoke(program, [*(arguments or ("explain",)), "-"], input=text)
    assert result.exit_code == 0, result.output
    return result.stdout


def answer(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(text, "explain", "-o", "json"))
    return found


def recognised(text: str) -> list[Program]:
    return [p for r in parse(text, "dump").rulesets for p in recognise_programs(r, ())]


@cache
def case(name: str) -> str:
    return next((PROGRAMS / name).glob("rules.v*")).read_text()


def test_every_program_has_cases() -> None:
    modules = {f.stem for f in (ROOT / "iptexplain" / "recognise").glob("*.py") if "\nWRITES = " in f.read_text()}
    assert modules == {d.parent.parent.name for d in DUMPS}


@pytest.mark.parametrize("dump", DUMPS, ids=IDS)
def test_what_is_said(dump: Path, golden: Golden) -> None:
    golden(dump.parent / "expected" / "explain.txt", told(dump.read_text()))


@pytest.mark.parametrize("dump", DUMPS, ids=IDS)
def test_what_is_answered(dump: Path, golden: Golden) -> None:
    found = answer(dump.read_text())
    kept = {key: found[key] for key in ("programs", "meetings", "foreign")}
    golden(dump.parent / "expected" / "programs.json", json.dumps(kept, indent=1) + "\n")


@pytest.mark.parametrize("dump", DUMPS, ids=IDS)
def test_every_rule_has_one_writer(dump: Path) -> None:
    """A rule is the program's, Docker's or listed as somebody else's, and never two of these; every line named is one of a rule."""
    text = dump.read_text()
    found = answer(text)
    lines = text.splitlines()
    mine = [n for p in found["programs"] for part in p["parts"] for n in part["lines"]]
    others = [r["line"] for r in found["foreign"]]
    assert len(mine) == len(set(mine)) == sum(p["rules"] for p in found["programs"])
    assert not set(mine) & set(others)
    assert all(lines[n - 1].startswith("-A ") for n in [*mine, *others])
    assert dump.parent.parent.name in {p["name"] for p in found["programs"]}
    facts = [n for p in found["programs"] for f in p["summary"] for n in f["lines"]]
    assert all(
        lines[n - 1].startswith(("-A ", ":")) for n in [*facts, *(n for m in found["meetings"] for n in m["lines"])]
    )


HAND_WRITTEN = {
    "ufw/alone": ["-A INPUT -p tcp -m tcp --dport 9100 -j ACCEPT"],
    "fail2ban/alone": [
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -j blocklist",
        "-A blocklist -s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable",
        "-A blocklist -j RETURN",
    ],
    "firewalld/alone": [],
    "firewalld/old": ["-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 5900 -j DROP"],
    "libvirt/alone": [],
    "libvirt/old": [
        "-A INPUT -i virbr0 -p tcp -m tcp --dport 2049 -j ACCEPT",
        "-A POSTROUTING -s 10.8.0.0/24 ! -d 10.8.0.0/24 -j MASQUERADE",
    ],
    "netavark/alone": [],
    "cni/alone": [],
    "kube_proxy/docker": [],
    "calico/alone": [
        '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "ssh, by hand" -j ACCEPT',
        "-A cali-INPUT -s 192.0.2.99/32 -j DROP",
    ],
    "tailscale/alone": ["-A INPUT -i tailscale0 -p tcp -m tcp --dport 22 -j ACCEPT"],
    "openwrt/alone": [],
    "lxd/docker": [
        "-A INPUT -i lxdbr0 -p tcp -m tcp --dport 8443 -j ACCEPT",
        "-A POSTROUTING -s 10.94.0.0/16 -o eth0 -j MASQUERADE",
    ],
}


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_what_is_nobodys_stays_apart(name: str) -> None:
    foreign = answer(case(name))["foreign"]
    assert sorted(r["text"] for r in foreign) == sorted(HAND_WRITTEN[name])


@pytest.mark.parametrize("dump", DOCKERS, ids=lambda d: f"{d.parent.name}-{d.stem}")
def test_docker_is_no_other_program(dump: Path) -> None:
    assert recognised(dump.read_text()) == []


@pytest.mark.parametrize("dump", [d for d in DUMPS if d.parent.name != "docker"], ids=lambda d: d.parent.parent.name + d.parent.name)  # fmt: skip
def test_no_other_program_is_docker(dump: Path) -> None:
    found = answer(dump.read_text())
    assert found["docker"] is None and found["networks"] == []


def without(text: str, pattern: str) -> str:
    """The dump without the rules that fit."""
    return "\n".join(line for line in text.splitlines() if not re.match(pattern, line)) + "\n"


# A case, what is done to it, and the programs that are recognised afterwards.
MUTATIONS: dict[str, tuple[str, Callable[[str], str], list[str]]] = {
    "ufw without a jump to its chains": ("ufw/alone", lambda t: without(t, "-A INPUT -j ufw"), []),
    "ufw's names for other rules": ("ufw/alone", lambda t: without(t, "-A ufw-before-"), []),
    "ufw under another name": ("ufw/alone", lambda t: t.replace("ufw-", "my-"), []),
    "a jail that does more than ban": (
        "fail2ban/alone",
        lambda t: re.sub(r"(-A f2b-\S+ )-j RETURN", r"\1-p tcp --dport 80 -j ACCEPT\n\1-j RETURN", t),
        [],
    ),
    "a jail without its end": ("fail2ban/alone", lambda t: without(t, r"-A f2b-\S+ -j RETURN"), []),
    "jails that nothing asks": ("fail2ban/alone", lambda t: without(t, r"-A INPUT .*-j f2b"), []),
    "a jail under another name": ("fail2ban/alone", lambda t: t.replace("f2b-", "bans-"), []),
    "zones without their inner chains": ("firewalld/alone", lambda t: without(t, r"-A IN_\S+ -j IN_\S+_allow|-A (PRE|POST|FWD|FWDI)_"), []),
    "zones that nothing asks": ("firewalld/alone", lambda t: without(t, "-A INPUT -j INPUT_ZONES"), []),
    "libvirt's chains with other rules": (
        "libvirt/alone",
        lambda t: re.sub(r"-A (LIBVIRT_FW[IOX]) .*", r"-A \1 -s 192.0.2.1/32 -j ACCEPT", t),
        [],
    ),
    "old libvirt with another bridge": ("libvirt/old", lambda t: t.replace("virbr0", "br7"), []),
    "Kubernetes' names without a jump": ("kube_proxy/alone", lambda t: without(t, "-A (INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING) "), []),
    "Calico without its remarks": ("calico/alone", lambda t: t.replace("cali:", "note:"), []),
    "Tailscale's names for other rules": (
        "tailscale/alone",
        lambda t: re.sub(r"-A (ts-\w+) .*", r"-A \1 -s 192.0.2.1/32 -j ACCEPT", t),
        [],
    ),
    "zones without fw3's remark": ("openwrt/alone", lambda t: t.replace("!fw3", "fire"), []),
    "netavark's chains with other rules": (
        "netavark/alone",
        lambda t: re.sub(r"-A (NETAVARK\S+) .*", r"-A \1 -p tcp -j RETURN", t),
        [],
    ),
    "CNI's chains with other rules": ("cni/alone", lambda t: re.sub(r"-A (CNI-\S+) .*", r"-A \1 -p tcp -j RETURN", t), []),
    "LXD without its remarks": ("lxd/docker", lambda t: t.replace("generated for LXD", "made for"), []),
    "two programs": ("ufw/firewalld", lambda t: t, ["firewalld", "ufw"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_name_alone_is_not_enough(name: str) -> None:
    source, change, expected = MUTATIONS[name]
    assert [p.name for p in recognised(change(case(source)))] == expected
    if not expected:
        assert recognised(case(source))


def test_unchanged_but_for_one_rule_of_somebody_else() -> None:
    """A rule that somebody adds to INPUT, or to a chain of which the program's own rules have one form, is not the program's."""
    for name, chain in (("ufw/alone", "INPUT"), ("libvirt/alone", "LIBVIRT_FWI"), ("calico/alone", "cali-INPUT")):
        text = case(name)
        added = text.replace(f"\n-A {chain} ", f"\n-A {chain} -s 192.0.2.77/32 -j ACCEPT\n-A {chain} ", 1)
        before, after = answer(text), answer(added)
        assert [p["rules"] for p in before["programs"]] == [p["rules"] for p in after["programs"]]
        assert f"-A {chain} -s 192.0.2.77/32 -j ACCEPT" in [r["text"] for r in after["foreign"]]


def moved_up(text: str, pattern: str) -> str:
    """The dump with the rules of FORWARD that fit before all others there."""
    rules = [line for line in text.splitlines() if line.startswith("-A FORWARD ")]
    first = [r for r in rules if re.search(pattern, r)]
    ordered = iter(first + [r for r in rules if r not in first])
    return "\n".join(next(ordered) if line.startswith("-A FORWARD ") else line for line in text.splitlines()) + "\n"


# A case, what is done to it, and what must be said of a meeting (or, after "not", must not).
MET: dict[str, tuple[str, Callable[[str], str], str]] = {
    "Docker first": ("ufw/docker", lambda t: t, "Docker's rules come first (line 48, ufw's from line 54)"),
    "ufw first": ("ufw/docker", lambda t: moved_up(t, "ufw-"), "ufw comes first (line 48, Docker's rules from line 54)"),
    "the port is open": ("ufw/docker", lambda t: t, "8080/tcp is open, whatever ufw says"),
    "no Docker": ("ufw/alone", lambda t: t, "not Docker"),
    "no port": ("ufw/docker", lambda t: without(t, ".*(DNAT|172.17.0.2)"), "No published port is open"),
    "jails in INPUT": ("fail2ban/docker", lambda t: t, "jails recidive and sshd are asked in INPUT only"),
    "a jail in DOCKER-USER": ("fail2ban/docker", lambda t: t, "ail nginx-http-auth is asked for forwarded packets"),
    "jails without Docker": ("fail2ban/alone", lambda t: t, "not INPUT only"),
    "reload": ("firewalld/docker", lambda t: t, "removes rules that it did not write itself"),
    "the zone of docker0": ("firewalld/docker", lambda t: t, "docker0 is in firewalld's zone docker"),
    "no zone for docker0": ("firewalld/docker", lambda t: without(t, r"-A \S+_ZONES .*docker0"), "docker0 is in no zone"),
    "FORWARD DROP, with rules": ("libvirt/docker", lambda t: t, "What libvirt looks after is let through by its own rules"),
    "FORWARD ACCEPT": ("libvirt/docker", lambda t: t.replace("FORWARD DROP", "FORWARD ACCEPT"), "not the policy of FORWARD"),
    "FORWARD DROP, without rules": (
        "lxd/docker",
        lambda t: without(t, "-A FORWARD .*lxdbr0"),
        "No rule of LXD lets anything through there",
    ),
    "libvirt first": ("libvirt/docker", lambda t: t, "libvirt's chains are asked before Docker's rules"),
    "libvirt last": ("libvirt/docker", lambda t: moved_up(t, "DOCKER|docker0"), "Docker's rules are asked before libvirt's"),
    "pods": ("kube_proxy/docker", lambda t: t, "needs a rule of the network plugin"),
    "one subnet twice": ("lxd/docker", lambda t: t, "is rewritten twice"),
    "each subnet once": ("libvirt/docker", lambda t: t, "not rewritten twice"),
    "two firewalls": ("ufw/firewalld", lambda t: t, "are both asked in INPUT; firewalld comes first"),
}  # fmt: skip


@pytest.mark.parametrize("name", MET)
def test_meetings(name: str) -> None:
    source, change, words = MET[name]
    said = " ".join(m["says"] for m in answer(change(case(source)))["meetings"])
    assert (words.removeprefix("not ") not in said) if words.startswith("not ") else (words in said), said


def test_a_chain_names_its_writer() -> None:
    shown = told(case("ufw/docker"), "explain", "--chain", "ufw-user-input")
    assert "Written by ufw: user rules (input)" in shown
    assert "Written by ufw: before rules (input)" in told(case("ufw/docker"), "explain", "--chain", "INPUT")


SINGLE = {
    "-A ufw-user-input -p tcp --dport 22 -j ACCEPT": "written by ufw: user rules (input)",
    "-A f2b-sshd -s 203.0.113.5 -j REJECT": "written by fail2ban: jail sshd",
    "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd": "written by fail2ban: jail sshd",
    '-A FORWARD -i lxdbr0 -m comment --comment "generated for LXD network lxdbr0" -j ACCEPT': "written by LXD: network lxdbr0",
    "-A INPUT -i lo -j ACCEPT": "",
    "-A LIBVIRT_FWI -s 203.0.113.5 -j ACCEPT": "",
    "-A POSTROUTING -s 10.0.0.0/24 ! -d 10.0.0.0/24 -j MASQUERADE": "",
}


@pytest.mark.parametrize("rule", SINGLE)
def test_a_rule_alone(rule: str) -> None:
    result = CliRunner().invoke(program, ["rule", rule])
    assert result.exit_code == 0
    assert SINGLE[rule] in result.output and ("written by" in result.output) == bool(SINGLE[rule])


def test_names_from_a_dump_stay_harmless() -> None:
    """Control characters in a jail's or a zone's name come out as escapes."""
    for name, old, new in (
        ("fail2ban/alone", "f2b-sshd", "f2b-\x1b[31m"),
        ("firewalld/alone", "_public", "_\x1b]0;x\x07"),
    ):
        for arguments in (("explain",), ("explain", "-o", "json"), ("explain", "-v")):
            shown = told(case(name).replace(old, new), *arguments)
            assert "\x1b" not in shown and "\x07" not in shown
