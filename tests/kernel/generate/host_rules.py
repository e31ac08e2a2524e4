"""Rules that the owner of a Docker host writes: for INPUT, and in DOCKER-USER."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class HostRules(NamedTuple):
    """Rules for INPUT, the chains that they use, and the policy of INPUT."""

    chains: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    policy: str = "ACCEPT"


NONE = HostRules()
RED_HAT = HostRules(rules=(
    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -p icmp -j ACCEPT",
    "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
    "-A INPUT -j REJECT --reject-with icmp-host-prohibited",
))  # fmt: skip
FAIL2BAN = HostRules(("f2b-sshd",), (
    "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd",
    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT",
    "-A f2b-sshd -s 198.51.100.7/32 -j REJECT --reject-with icmp-port-unreachable",
    "-A f2b-sshd -j RETURN",
), "DROP")  # fmt: skip
UFW = HostRules(("ufw-before-input", "ufw-user-input", "ufw-skip-to-policy-input"), (
    "-A INPUT -j ufw-before-input",
    "-A INPUT -j ufw-user-input",
    "-A ufw-before-input -i lo -j ACCEPT",
    "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A ufw-before-input -m conntrack --ctstate INVALID -j DROP",
    "-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT",
    "-A ufw-before-input -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input",
    "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT",
    "-A ufw-user-input -s 192.0.2.0/24 -p tcp -m multiport --dports 80,443 -j ACCEPT",
    "-A ufw-skip-to-policy-input -j DROP",
), "DROP")  # fmt: skip
USUAL = [(8, NONE), (6, RED_HAT), (3, FAIL2BAN), (3, UFW)]

IN_DOCKER_USER = [
    "-s 198.51.100.0/24 -i eth0 -j DROP",
    "! -s 192.0.2.50/32 -i eth0 -j DROP",
    "-i eth0 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP",
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-i eth0 -p tcp -m multiport --dports 80,443 -j ACCEPT",
    "-i eth0 -p tcp -m tcp --dport 80 -m conntrack --ctorigdst 192.0.2.10 -j RETURN",
    "-i eth0 -j REJECT --reject-with icmp-port-unreachable",
    '-i eth0 ! -o eth0 -m conntrack --ctstate NEW -j LOG --log-prefix "[docker] "',
    "-m conntrack --ctstate INVALID -j DROP",
]


def host_rules(random: Random) -> HostRules:
    return random.choices([rules for _, rules in USUAL], [weight for weight, _ in USUAL])[0]


def docker_user(random: Random) -> list[str]:
    return [f"-A DOCKER-USER {random.choice(IN_DOCKER_USER)}" for _ in range(random.choice([0, 0, 1, 2, 3]))]
