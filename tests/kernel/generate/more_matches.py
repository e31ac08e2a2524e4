"""Matches that fewer people write: every type of address, ways back, TCP options, chunks, the fields of IPsec's headers."""

from __future__ import annotations

from tests.kernel.generate.conntrack_matches import OLD, USUAL
from tests.kernel.generate.scene import Clause, Scene, Wish

TYPES = ["UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",
         "LOCAL,BROADCAST", "UNICAST,MULTICAST", "UNREACHABLE,PROHIBIT"]  # fmt: skip
IPV4_ALONE = {"BROADCAST", "BLACKHOLE", "PROHIBIT", "THROW"}
WITH_PROTOCOL: list[tuple[str, Wish]] = [
    ("-p tcp -m tcp --tcp-option 2", {"proto": "tcp", "flags": "SYN", "tcp_options": "020405b4"}),
    ("-p tcp -m tcp ! --tcp-option 2", {"proto": "tcp"}),
    ("-p tcp -m tcp --tcp-option 4", {"proto": "tcp", "flags": "SYN", "tcp_options": "04020000"}),
    ("-p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 1400:1500", {"proto": "tcp", "flags": "SYN", "tcp_options": "020405b4"}),
    ("-p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss ! --mss 1400:1536", {"proto": "tcp", "flags": "SYN", "tcp_options": "02040200"}),
    ("-p tcp -m ecn --ecn-tcp-cwr", {"proto": "tcp", "flags": "SYN,ECE,CWR"}),
    ("-p tcp -m ecn ! --ecn-tcp-ece", {"proto": "tcp"}),
    ("-p tcp -m ecn --ecn-ip-ect 2", {"proto": "tcp", "tos": 2}),
    ("-m ecn ! --ecn-ip-ect 0", {"tos": 3}),
    ("-p sctp -m sctp --chunk-types any INIT,DATA", {"proto": "sctp"}),
    ("-p sctp -m sctp ! --chunk-types only INIT_ACK,COOKIE_ECHO", {"proto": "sctp"}),
    ("-p sctp -m sctp --chunk-types all COOKIE_ACK", {"proto": "sctp"}),
    ("-p esp -m esp --espspi 0:5", {"proto": "esp"}), ("-p esp -m esp ! --espspi 0", {"proto": "esp"}),
    ("-p udp -m helper --helper tftp", {"proto": "udp"}),
    ("-p ipencap", {"proto": "ipencap"}), ("! -p tcp", {"proto": "udp"}),
    ("-p 253", {"proto": "253"}),
]  # fmt: skip
PER_FAMILY: dict[int, list[tuple[str, Wish]]] = {
    4: [("-p ah -m ah --ahspi 0:9", {"proto": "ah"}), ("-p ah -m ah ! --ahspi 0", {"proto": "ah"}),
        *[(f"-p icmp -m icmp --icmp-type {kind}", {"proto": "icmp", "icmp_type": number, "icmp_code": code}) for kind, number, code in
          (("4", 4, 0), ("12/1", 12, 1), ("11/0", 11, 0), ("3/13", 3, 13), ("13", 13, 0), ("9", 9, 0), ("network-redirect", 5, 0))]],
    6: [("-m eui64", {}), ("-m eui64 -p udp", {"proto": "udp"}),
        *[(f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind}", {"proto": "icmpv6", "icmp_type": number, "icmp_code": code})
          for kind, number, code in (("1/3", 1, 3), ("2", 2, 0), ("3/1", 3, 1), ("4/1", 4, 1), ("133", 133, 0), ("1/6", 1, 6))]],
}  # fmt: skip
PHYSDEV = ["--physdev-is-in", "--physdev-is-bridged", "! --physdev-is-bridged", "! --physdev-is-in"]


def addrtype(scene: Scene) -> Clause | None:
    kind, side = scene.pick(TYPES), scene.pick(["src", "dst"])
    if scene.family == 6 and set(kind.split(",")) & IPV4_ALONE:
        return None
    text = f"-m addrtype {scene.inverted()}--{side}-type {kind}"
    if scene.chance(0.3):
        if scene.never_at("OUTPUT", "POSTROUTING"):
            text += " --limit-iface-in"
        elif scene.never_at("INPUT", "PREROUTING"):
            text += " --limit-iface-out"
    return Clause(text)


def rpfilter(scene: Scene) -> Clause | None:
    if scene.table not in ("raw", "mangle") or not scene.only_at("PREROUTING"):
        return None
    options = [option for option in ("--loose", "--accept-local", "--invert") if scene.chance(0.4)]
    return Clause(" ".join(["-m rpfilter", *options]))


def of_protocol(scene: Scene) -> Clause | None:
    text, wish = scene.pick(WITH_PROTOCOL + PER_FAMILY[scene.family])
    if "eui64" in text and not scene.only_at("PREROUTING", "INPUT", "FORWARD"):
        return None
    return Clause(text, wish)


def early_state(scene: Scene) -> Clause | None:
    """In raw, where no packet has a connection yet."""
    if scene.table != "raw":
        return None
    kinds = [f"-m conntrack {scene.inverted()}--ctstate {scene.pick(USUAL)}", f"-m state --state {scene.pick(OLD)}",
             f"-m connmark {scene.inverted()}--mark {scene.pick(['0x0', '0x1'])}", f"-m conntrack {scene.inverted()}--ctstatus NONE",
             "-m conntrack --ctdir ORIGINAL", "-m conntrack --ctproto 6",
             f"-m conntrack {scene.inverted()}--ctorigsrc {scene.address()}"]  # fmt: skip
    return Clause(scene.pick(kinds))


def physdev(scene: Scene) -> Clause | None:
    if not scene.pools.ports:
        return None
    pieces = [scene.pick(PHYSDEV)]
    if scene.only_at("FORWARD", "POSTROUTING") and scene.chance(0.5):
        pieces = [
            f"{scene.inverted()}--physdev-out {scene.pick([*scene.pools.ports, 'veth+'])}",
            "--physdev-is-bridged",
        ]
    if scene.chance(0.4):
        pieces.append(f"{scene.inverted()}--physdev-in {scene.pick([*scene.pools.ports, 'veth+'])}")
    return Clause(f"-m physdev {' '.join(pieces)}")


MAKERS = [(4, of_protocol), (2, addrtype), (2, rpfilter), (2, early_state), (1, physdev)]


def clause(scene: Scene) -> Clause | None:
    return scene.weighted(MAKERS)(scene)
