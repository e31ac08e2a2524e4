"""What a ruleset is compared with: a twin that does the same to every packet, and a change for one packet; and whom to ask about.

    python -m benchmarks.variants SHAPE SIZE FILE

Writes FILE, FILE.twin and FILE.changed, and prints how many rules there are and the service to ask about.
"""

from __future__ import annotations

import ipaddress
import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.shapes import SHAPES

ONE = "-A FORWARD -s {} -d {} -p tcp -m tcp --sport 999 --dport 22 -j {}"
ENDS = {False: ("10.1.2.3/32", "10.9.9.9/32"), True: ("2001:db8::1/128", "2001:db8::2/128")}


def changed(text: str) -> str:
    """The same but for one packet, by a rule at the head of FORWARD."""
    target = "DROP" if re.search(r":FORWARD ACCEPT|-A FORWARD -j ACCEPT", text) else "ACCEPT"
    rule = ONE.format(*ENDS["ip6tables-save" in text], target)
    return rewritten(text, lambda lines: [*lines[: (at := _first(lines))], rule, *lines[at:]])


def _first(lines: list[str]) -> int:
    return next(n for n, line in enumerate(lines) if line.startswith("-A FORWARD"))


def rewritten(text: str, change: Callable[[list[str]], list[str]]) -> str:
    """A dump with other lines; or a snapshot, whose sets are told in another order as well."""
    if not text.startswith("{"):
        return "\n".join(change(text.splitlines())) + "\n"
    facts = json.loads(text)
    facts["iptables"] = rewritten(facts["iptables"], change)
    if "ipsets" in facts:
        head, *members = facts["ipsets"].splitlines()
        facts["ipsets"] = "\n".join([head, *sorted(members)]) + "\n"
    return json.dumps(facts)


def service(text: str) -> str:
    """ADDRESS:PORT of a service that the rules speak of."""
    found = re.search(r"-d (\S+) .*--dports? (\d+)", text if "docker0" not in text else "-d 192.0.2.10/32 --dport 8000")
    if not found:
        return "10.9.9.9:443"
    network = ipaddress.ip_network(found[1], strict=False)
    address = network[min(1, network.num_addresses - 1)]
    return f"[{address}]:{found[2]}" if address.version == 6 else f"{address}:{found[2]}"


def twin(text: str) -> str:
    """The same for every packet: ports by themselves, neighbours in another order, chains with other names."""
    return rewritten(text, _regrouped)


def _regrouped(lines: list[str]) -> list[str]:
    found = [line for one in lines for line in ungrouped(one)]
    rng = random.Random(5)
    for n in range(len(found) - 1):
        one, other = found[n].split(), found[n + 1].split()
        if one[:2] == other[:2] and _independent(one, other) and rng.random() < 0.5:
            found[n], found[n + 1] = found[n + 1], found[n]
    return [re.sub(r"(?<=[ :])([USL])(\d+)\b", r"Other\1\2", line) for line in found]


def _independent(one: list[str], other: list[str]) -> bool:
    """Whether two rules (as words) do the same, or are for different hosts."""
    hosts = {
        words[words.index("-d") + 1] for words in (one, other) if "-d" in words and words[words.index("-d") - 1] != "!"
    }
    return one[-2:] == other[-2:] or (len(hosts) == 2 and all(host.endswith("/32") for host in hosts))


def ungrouped(line: str) -> Iterator[str]:
    """A rule for each port of ``--dports``."""
    found = re.search(r"-p (tcp|udp) -m multiport --dports (\S+)", line)
    if found is None:
        yield line
        return
    for port in found[2].split(","):
        yield line.replace(found[0], f"-p {found[1]} -m {found[1]} --dport {port}")


def main() -> None:
    shape, size, file = sys.argv[1:]
    text = SHAPES[shape].write(int(size))
    for name, content in (("", text), (".twin", twin(text)), (".changed", changed(text))):
        Path(file + name).write_text(content)
    print(size if shape == "ipset" else len(re.findall(r"-A ", text)), service(text))


if __name__ == "__main__":
    main()
