"""Targets that change a packet, or how it is tracked, without ending its way."""

from __future__ import annotations

from tests.kernel.generate.scene import Scene

TARGETS: dict[str, list[tuple[int, tuple[str, str | None]]]] = {
    "raw": [
        (3, ("-j CT --notrack", None)), (2, ("-j NOTRACK", None)), (2, ("-j TRACE", None)), (2, ("-j CT --zone 7", None)),
        (1, ("-j CT --zone-orig 5", None)), (1, ("-j CT --zone-reply 6", None)), (1, ("-j NFLOG --nflog-group 2", None)),
    ],
    "mangle": [
        (2, ("-j TCPMSS --set-mss 1300", "syn")),
        (2, ("-j TCPOPTSTRIP --strip-options mss,sack-permitted", "tcp")), (2, ("-j ECN --ecn-tcp-remove", "tcp")),
        (2, ("-j CHECKSUM --checksum-fill", "udp")), (1, ("-j NFLOG --nflog-prefix x", None)),
        (2, ("-j TOS --set-tos 0x10/0xff", None)), (2, ("-j DSCP --set-dscp 0x2e", None)),
        (2, ("-j CONNMARK --set-xmark 0x5/0xff", None)), (2, ("-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff", None)),
        (2, ("-j CONNMARK --restore-mark --nfmask 0xf0 --ctmask 0xf", None)), (2, ("-j MARK --xor-mark 0x5", None)),
    ],
}  # fmt: skip
ON_THE_WAY_OUT = [("-j CLASSIFY --set-class 1:1", None), ("-j TCPMSS --clamp-mss-to-pmtu", "syn")]


def target(scene: Scene) -> tuple[str, str | None]:
    """The target and the protocol that its rule has to name; only for the tables of TARGETS."""
    if scene.table == "mangle" and scene.only_at("POSTROUTING", "FORWARD", "OUTPUT") and scene.chance(0.2):
        return scene.pick(ON_THE_WAY_OUT)
    return scene.weighted(TARGETS[scene.table])
