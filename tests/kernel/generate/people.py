"""Rulesets as programs and people write them on a server, a router or a node of a cluster: ufw, firewalld, fail2ban, kube-proxy."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from tests.kernel.generate.pools import Pools
from tests.kernel.generate.scene import Wish
from tests.kernel.generate.tables import CHAINS, Wanted

Rules = dict[str, list[str]]
"""Table → ``-A`` and ``-P`` lines. {out} {lan} {own} {near} {remote} {net} {icmp} {any} are of the host, {port} is random."""
RELATED = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"

UFW: Rules = {"filter": [
    "-P INPUT DROP", "-P FORWARD DROP",
    *[f"-A {hook} -j ufw-{when}-{hook.lower()}" for hook in ("INPUT", "FORWARD", "OUTPUT") for when in ("before-logging", "before", "after",
      "after-logging", "reject", "track")],
    "-A ufw-before-input -i lo -j ACCEPT", f"-A ufw-before-input {RELATED}",
    "-A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny",
    "-A ufw-before-input -m conntrack --ctstate INVALID -j DROP",
    "-A ufw-before-input -p {icmp} -j ACCEPT", "-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT",
    "-A ufw-before-input -j ufw-not-local", "-A ufw-before-input -j ufw-user-input",
    f"-A ufw-before-forward {RELATED}", "-A ufw-before-forward -p {icmp} -j ACCEPT", "-A ufw-before-forward -j ufw-user-forward",
    "-A ufw-before-output -o lo -j ACCEPT", f"-A ufw-before-output {RELATED}", "-A ufw-before-output -j ufw-user-output",
    "-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN", "-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN",
    "-A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN", "-A ufw-not-local -j ufw-logging-deny", "-A ufw-not-local -j DROP",
    "-A ufw-logging-deny -m conntrack --ctstate INVALID -j RETURN", '-A ufw-logging-deny -j LOG --log-prefix "[UFW BLOCK] "',
    "-A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input",
    "-A ufw-after-input -p tcp -m tcp --dport 445 -j ufw-skip-to-policy-input",
    "-A ufw-skip-to-policy-input -j DROP", "-A ufw-skip-to-policy-output -j ACCEPT", "-A ufw-skip-to-policy-forward -j DROP",
    "-A ufw-track-output -p tcp -m conntrack --ctstate NEW -j ACCEPT", "-A ufw-track-output -p udp -m conntrack --ctstate NEW -j ACCEPT",
    "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT", "-A ufw-user-input -s {net} -p tcp -m multiport --dports 80,443,8080 -j ACCEPT",
    "-A ufw-user-input -s {remote} -j REJECT --reject-with {any}", "-A ufw-user-input -d {own} -p udp -m udp --dport {port} -j ACCEPT",
    "-A ufw-user-forward -i {out} -d {near} -p tcp -m tcp --dport {port} -j ACCEPT", "-A ufw-user-forward -o {out} -j ACCEPT",
    "-A ufw-user-output -d {remote} -p tcp -m tcp --dport {port} -j REJECT --reject-with tcp-reset",
], "nat": ["-A POSTROUTING -s {net} -o {out} -j MASQUERADE"]}  # fmt: skip
FIREWALLD: Rules = {
    "raw": ["-A PREROUTING -p ipv6-icmp -j ACCEPT", "-A PREROUTING -m rpfilter --invert -j DROP"],
    "mangle": ["-A PREROUTING -j PREROUTING_direct", "-A PREROUTING -j PREROUTING_ZONES", "-A PREROUTING_ZONES -i {out} -g PRE_public",
               "-A PREROUTING_ZONES -g PRE_trusted", "-A PRE_public -j PRE_public_allow", "-A PRE_trusted -j RETURN",
               "-A PRE_public_allow -p tcp -m tcp --dport {port} -j MARK --set-xmark 0x64/0xffffffff"],
    "nat": ["-A PREROUTING -j PREROUTING_ZONES", "-A PREROUTING_ZONES -i {out} -g PRE_public", "-A PRE_public -j PRE_public_allow",
            "-A PRE_public_allow -p tcp -m mark --mark 0x64 -j DNAT --to-destination {near_port}",
            "-A POSTROUTING -j POSTROUTING_ZONES", "-A POSTROUTING_ZONES -o {out} -g POST_public",
            "-A POST_public -j POST_public_allow", "-A POST_public_allow ! -o lo -j MASQUERADE"],
    "filter": [
        f"-A INPUT {RELATED}", "-A INPUT -i lo -j ACCEPT", "-A INPUT -j INPUT_direct", "-A INPUT -j INPUT_ZONES",
        "-A INPUT -m conntrack --ctstate INVALID -j DROP", "-A INPUT -j REJECT --reject-with {any}",
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT", "-A FORWARD -i lo -j ACCEPT",
        "-A FORWARD -j FORWARD_IN_ZONES", "-A FORWARD -j FORWARD_OUT_ZONES", "-A FORWARD -m conntrack --ctstate INVALID -j DROP",
        "-A FORWARD -j REJECT --reject-with {any}",
        "-A INPUT_ZONES -i {out} -g IN_public", "-A INPUT_ZONES -s {net} -g IN_trusted", "-A INPUT_ZONES -g IN_public",
        "-A FORWARD_IN_ZONES -i {out} -g FWD_public", "-A FORWARD_IN_ZONES -g FWD_trusted",
        "-A FORWARD_OUT_ZONES -o {out} -g FWDO_public", "-A FWDO_public -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT",
        "-A IN_public -j IN_public_deny", "-A IN_public -j IN_public_allow", "-A IN_public -p {icmp} -j ACCEPT",
        "-A IN_public_deny -s {remote} -j REJECT --reject-with {any}",
        "-A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT",
        "-A IN_public_allow -p udp -m udp --dport {port} -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT",
        "-A IN_trusted -j ACCEPT", "-A FWD_public -p {icmp} -j ACCEPT", "-A FWD_public -m mark --mark 0x64 -j ACCEPT",
        "-A FWD_trusted -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT", "-A OUTPUT -o lo -j ACCEPT", "-A OUTPUT -j OUTPUT_direct",
    ],
}  # fmt: skip
FAIL2BAN: Rules = {"filter": [
    "-P INPUT DROP", "-A INPUT -p tcp -m multiport --dports 22,2222 -j f2b-sshd", "-A INPUT -p tcp -m multiport --dports 80,443 -j f2b-nginx",
    f"-A INPUT {RELATED}", "-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
    "-A INPUT -p tcp -m tcp --tcp-flags ALL NONE -j DROP", "-A INPUT -p tcp -m tcp --tcp-flags ALL ALL -j DROP",
    "-A INPUT -p tcp -m multiport --dports 22,80,443 -m conntrack --ctstate NEW -j ACCEPT", "-A INPUT -p {icmp} -j ACCEPT",
    "-A INPUT -p tcp -j REJECT --reject-with tcp-reset", "-A INPUT -p udp -j REJECT --reject-with {any}",
    "-A f2b-sshd -s {remote} -j REJECT --reject-with {any}", "-A f2b-sshd -s {near} -j DROP", "-A f2b-sshd -j RETURN",
    "-A f2b-nginx -s {remote} -j REJECT --reject-with {any}", "-A f2b-nginx -j RETURN",
]}  # fmt: skip
KUBE: Rules = {
    "mangle": ["-A PREROUTING -j KUBE-IPTABLES-HINT-X"],
    "nat": [
        "-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES", "-A POSTROUTING -j KUBE-POSTROUTING",
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000", "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0", "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
        "-A KUBE-SERVICES -d {service} -p tcp -m tcp --dport 80 -j KUBE-SVC-A",
        "-A KUBE-SERVICES -d {service} -p udp -m udp --dport 53 -j KUBE-SVC-B",
        "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS", "-A KUBE-NODEPORTS -p tcp -m tcp --dport 8080 -j KUBE-EXT-A",
        "-A KUBE-EXT-A -j KUBE-MARK-MASQ", "-A KUBE-EXT-A -j KUBE-SVC-A",
        "-A KUBE-SVC-A ! -s {net} -d {service} -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ", "-A KUBE-SVC-A -j KUBE-SEP-A",
        "-A KUBE-SVC-B ! -s {net} -d {service} -p udp -m udp --dport 53 -j KUBE-MARK-MASQ", "-A KUBE-SVC-B -j KUBE-SEP-B",
        "-A KUBE-SEP-A -s {near} -j KUBE-MARK-MASQ", "-A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination {near_port}",
        "-A KUBE-SEP-B -s {near} -j KUBE-MARK-MASQ", "-A KUBE-SEP-B -p udp -m udp -j DNAT --to-destination {near_port}",
    ],
    "filter": [
        "-A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL", "-A INPUT -j KUBE-NODEPORTS", "-A INPUT -j KUBE-FIREWALL",
        "-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL", "-A FORWARD -j KUBE-FORWARD",
        "-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES", "-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES",
        "-A OUTPUT -j KUBE-FIREWALL",
        "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP", "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
        f"-A KUBE-FORWARD {RELATED}", "-A KUBE-SERVICES -d {service} -p tcp -m tcp --dport 81 -j REJECT --reject-with {any}",
        "-A KUBE-FIREWALL ! -s {loopback} -d {loopback} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        "-A KUBE-PROXY-FIREWALL -d {remote} -j RETURN", "-A KUBE-NODEPORTS -p tcp -m tcp --dport 9 -j ACCEPT",
    ],
}  # fmt: skip
ROUTER: Rules = {
    "mangle": ["-A FORWARD -o {out} -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
               "-A PREROUTING -i {lan} -j CONNMARK --restore-mark", "-A PREROUTING -i {lan} -m mark --mark 0x0 -j MARK --set-xmark 0x2/0xffffffff",
               "-A PREROUTING -i {lan} -j CONNMARK --save-mark", "-A POSTROUTING -o {out} -p udp -j DSCP --set-dscp 0x2e"],
    "nat": ["-A PREROUTING -i {out} -p tcp -m tcp --dport 80 -j DNAT --to-destination {near_port}",
            "-A PREROUTING -d {own} -p tcp -m tcp --dport {port} -j DNAT --to-destination {near_port}",
            "-A POSTROUTING -s {net} -d {near} -p tcp -j MASQUERADE", "-A POSTROUTING -o {out} -j SNAT --to-source {own}",
            "-A PREROUTING -i {lan} -p tcp -m tcp --dport 3128 -j REDIRECT --to-ports 8080"],
    "filter": ["-P INPUT DROP", "-P FORWARD DROP", f"-A INPUT {RELATED}", "-A INPUT -i lo -j ACCEPT", "-A INPUT -i {lan} -j ACCEPT",
               "-A INPUT -p {icmp} -j ACCEPT", f"-A FORWARD {RELATED}", "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
               "-A FORWARD -i {lan} -o {out} -m conntrack --ctstate NEW -j ACCEPT", "-A FORWARD -s {net} -d {remote} -j REJECT --reject-with {any}",
               '-A FORWARD -m conntrack --ctstate INVALID -j LOG --log-prefix "[INVALID] "', "-A FORWARD -i {out} -j REJECT --reject-with {any}"],
}  # fmt: skip
ALL: dict[str, Rules] = {"ufw": UFW, "firewalld": FIREWALLD, "fail2ban": FAIL2BAN, "kube": KUBE, "router": ROUTER}
SERVICE = {4: "10.96.0.10", 6: "fd00:96::10"}
ANSWERS = {
    4: ["icmp-port-unreachable", "icmp-host-prohibited", "icmp-admin-prohibited"],
    6: ["icmp6-port-unreachable", "icmp6-adm-prohibited"],
}
EVERYWHERE = {4: "127.0.0.0/8", 6: "::1/128"}


def ruleset(random: Random, pools: Pools) -> tuple[str, list[Wanted]]:
    """One of the rulesets for this host, now and then with a rule left out, and what its rules wish for."""
    rules = ALL[random.choice(list(ALL))]
    lines, wanted = [], []
    for table, texts in rules.items():
        kept = [_filled(random, pools, text) for text in texts if random.random() < 0.96 or "RELATED" in text]
        kept = [text for text in kept if pools.family == 4 or "BROADCAST" not in text]
        policies = {text.split()[1]: text.split()[2] for text in kept if text.startswith("-P")}
        kept = [text for text in kept if text.startswith("-A")]
        users = {word for text in kept for word in _chains(text)} - set(CHAINS[table])
        lines += [f"*{table}", *(f":{chain} {policies.get(chain, 'ACCEPT')} [0:0]" for chain in CHAINS[table])]
        lines += [*(f":{chain} - [0:0]" for chain in sorted(users)), *kept, "COMMIT"]
        wanted += [Wanted(frozenset(), _wish(text)) for text in kept]
    return "\n".join(lines) + "\n", wanted


def _chains(rule: str) -> list[str]:
    words = rule.split()
    called = [word for option, word in pairwise(words) if option in ("-j", "-g")]
    return [words[1], *(word for word in called if "-" in word or "_" in word)]


def _filled(random: Random, pools: Pools, text: str) -> str:
    near = random.choice([end for end in pools.near if end.name != "gw"])
    port = random.choice([22, 53, 80, 443, 8080, 5432])
    out = pools.gateway.interface
    inside = [own for own in pools.own if own.interface != out] or pools.own
    values = {
        "out": out, "lan": inside[0].interface, "own": next(o.address for o in pools.own if o.interface == out),
        "near": near.address, "near_port": f"{near.address}:{port}" if pools.family == 4 else f"[{near.address}]:{port}",
        "remote": random.choice(pools.remote), "net": str(inside[0].network), "port": port, "service": SERVICE[pools.family],
        "icmp": "icmp" if pools.family == 4 else "ipv6-icmp", "any": random.choice(ANSWERS[pools.family]), "loopback": EVERYWHERE[pools.family],
    }  # fmt: skip
    return text.format(**values)


WISHES = {
    "-s": "src",
    "-d": "dst",
    "-i": "iif",
    "-o": "oif",
    "-p": "proto",
    "--dport": "dport",
    "--dports": "dport",
    "--sport": "sport",
}


def _wish(rule: str) -> Wish:
    wish: Wish = {}
    words = rule.split()
    for before, option, word in zip(words, words[1:], words[2:], strict=False):
        if option in WISHES and before != "!":
            wish[WISHES[option]] = (
                int(word.split(",")[0]) if option.startswith("--") else word.replace("ipv6-icmp", "icmpv6")
            )
    return wish
