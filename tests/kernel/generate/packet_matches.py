"""Matches that ask for nothing but the packet."""

from __future__ import annotations

from tests.kernel.generate.scene import Clause, Scene

COMMENTS = ["allow web", "x", "it's rule #3", "k8s: a/b -j DROP", 'say \\"hi\\"', "drop"]
KINDS = ["unicast", "unicast", "broadcast", "multicast"]


def length(scene: Scene) -> Clause:
    low = scene.pick([0, 28, 40, 60, 100])
    high = low + scene.pick([0, 20, 60, 1000])
    text = f"{low}:{high}" if high > low else str(low)
    return Clause(f"-m length {scene.inverted()}--length {text}", {"payload_len": max(0, (low + high) // 2 - 40)})


def ttl(scene: Scene) -> Clause:
    name, number = ("ttl", "hl")[scene.family == 6], scene.pick([64, 63, 10, 128, 1])
    compare, wanted = scene.pick([("eq", number), ("lt", max(2, number - 1)), ("gt", number + 1)])
    return Clause(f"-m {name} --{name}-{compare} {number}", {"ttl": wanted})


def dscp(scene: Scene) -> Clause:
    number, no = scene.pick([0, 8, 10, 26, 46]), scene.inverted()
    return Clause(f"-m dscp {no}--dscp 0x{number:02x}", {} if no else {"tos": number << 2})


def tos(scene: Scene) -> Clause:
    number, no = scene.pick([0x10, 0x08, 0x00, 0xB8]), scene.inverted()
    return Clause(f"-m tos {no}--tos 0x{number:02x}/0xff", {} if no else {"tos": number})


def pkttype(scene: Scene) -> Clause:
    return Clause(f"-m pkttype {scene.inverted()}--pkt-type {scene.pick(KINDS)}")


def comment(scene: Scene) -> Clause:
    return Clause(f'-m comment --comment "{scene.pick(COMMENTS)}"')
