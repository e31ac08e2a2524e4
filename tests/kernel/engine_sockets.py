"""A program for the inside of an engine's namespace: servers in many network namespaces, and probes that look for them.

Standard input is JSON, ``{"servers": [{"name", "netns", "proto", "port", "family"}…], "probes": [{"netns", "proto", "src", "sport",
"dst", "dport"}…]}``; a netns is a file such as /proc/7/ns/net. Standard output is ``{"listeners": [what listens on the host],
"probes": [{"src", "result", "server", "saw"}…]}``: the address that the probe left with; whether it was ``answered``, ``refused``
(by a reset, an ICMP error, or the sender's own kernel), ``closed`` (accepted, then given up) or ``silent``; which server got it, and
from which address and port. All probes are on their way at once, so that those that nobody answers are waited for together.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

PATIENCE = 3.0
"""Seconds in which nothing may happen any more before what is still unanswered counts as that. A lost SYN is sent again after one."""

KINDS = {
    (4, "tcp"): (socket.AF_INET, socket.SOCK_STREAM, 0),
    (4, "udp"): (socket.AF_INET, socket.SOCK_DGRAM, 0),
    (4, "icmp"): (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
    (6, "tcp"): (socket.AF_INET6, socket.SOCK_STREAM, 0),
    (6, "udp"): (socket.AF_INET6, socket.SOCK_DGRAM, 0),
    (6, "icmp"): (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6),
}
ASK = {4: (socket.IPPROTO_IP, 8), 6: (socket.IPPROTO_IPV6, 49)}
TOLD = {4: (socket.IPPROTO_IP, 8), 6: (socket.IPPROTO_IPV6, 50)}
"""IP_PKTINFO; IPV6_RECVPKTINFO and IPV6_PKTINFO: the address that a packet was sent to."""

ECHO = {family: struct.pack("!BBHHH", kind, 0, 0, 0, 1) for family, kind in ((4, 8), (6, 128))}
"""A ping; the kernel fills in checksum and identifier."""

libc = ctypes.CDLL(None, use_errno=True)


def open_socket(netns: str, proto: str, family: int) -> socket.socket:
    """A socket of another network namespace: it stays there when this process goes on to the next one."""
    namespace = os.open(netns, os.O_RDONLY)
    if libc.setns(namespace, 0):
        raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
    os.close(namespace)
    opened = socket.socket(*KINDS[family, proto])
    if family == 6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.setblocking(False)
    return opened


class Exchange:
    """The servers and the probes, each called when its socket is ready."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.met: dict[int, tuple[str, tuple[str, int]]] = {}
        """Number of a probe → the server that got it, and whom that saw."""

    def on(self, ready: int, sock: socket.socket, call: Callable[[], None]) -> None:
        self.selector.register(sock, ready, call)

    def serve(self, name: str, netns: str, proto: str, port: int, family: int) -> None:
        server = open_socket(netns, proto, family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if proto == "udp":
            server.setsockopt(*ASK[family], 1)
        server.bind(("::" if family == 6 else "0.0.0.0", port))
        if proto == "tcp":
            server.listen(64)
        if proto == "tcp":
            self.on(selectors.EVENT_READ, server, lambda: self.accept(name, server))
        else:
            self.on(selectors.EVENT_READ, server, lambda: self.echo(name, server, family))

    def accept(self, name: str, server: socket.socket) -> None:
        connection, peer = server.accept()
        self.on(selectors.EVENT_READ, connection, lambda: self.converse(name, connection, peer[:2]))

    def converse(self, name: str, connection: socket.socket, peer: tuple[str, int]) -> None:
        self.selector.unregister(connection)
        with contextlib.suppress(OSError):  # The other side may have given up.
            if number := connection.recv(100):
                self.met[int(number)] = name, peer
                connection.sendall(number)
        connection.close()

    def echo(self, name: str, server: socket.socket, family: int) -> None:
        """The answer comes from the address that was asked (struct in_pktinfo: interface, local address, destination;
        in6_pktinfo: address, interface)."""
        number, [(_, _, info)], _, peer = server.recvmsg(100, socket.CMSG_SPACE(20))
        self.met[int(number)] = name, peer[:2]
        asked = struct.pack("I4s4s", 0, info[4:8], b"") if family == 4 else struct.pack("16sI", info[:16], 0)
        with contextlib.suppress(OSError):  # A rule may forbid the answer.
            server.sendmsg([number], [(*TOLD[family], asked)], 0, peer)

    def probe(self, number: int, asked: dict[str, Any]) -> dict[str, Any]:
        """Sends the probe; its answer is put into what this returns when it comes."""
        found: dict[str, Any] = {"src": None, "result": "silent"}
        family = 6 if ":" in asked["dst"] else 4
        prober = open_socket(asked["netns"], asked["proto"], family)
        prober.bind((asked["src"], asked["sport"]))

        def end(result: str) -> None:
            found["result"] = result
            self.selector.unregister(prober)
            prober.close()

        def read() -> None:
            try:
                end("answered" if prober.recv(100) else "closed")
            except OSError:
                end("refused")

        def connected() -> None:
            if prober.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                end("refused")
                return
            self.selector.modify(prober, selectors.EVENT_READ, read)
            with contextlib.suppress(OSError):  # Reading tells what went wrong.
                prober.send(b"%d" % number)

        self.on(selectors.EVENT_READ, prober, read)
        try:
            problem = prober.connect_ex((asked["dst"], asked["dport"]))
            found["src"] = prober.getsockname()[0]
            if problem not in (0, errno.EINPROGRESS):
                end("refused")
            elif asked["proto"] == "tcp":
                self.selector.modify(prober, selectors.EVENT_WRITE, connected)
            else:
                prober.send(ECHO[family] if asked["proto"] == "icmp" else b"%d" % number)
        except OSError:
            end("refused")
        return found

    def run(self, probes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = [self.probe(number, asked) for number, asked in enumerate(probes)]
        while ready := self.selector.select(PATIENCE):
            for key, _ in ready:
                key.data()
        for number, answer in enumerate(found):
            answer["server"], answer["saw"] = self.met.get(number, (None, None))
        return found


def listeners() -> list[str]:
    """What listens on the host, whose network namespace is that of the first process."""
    asked = ["nsenter", "--net=/proc/1/ns/net", "ss", "-Hlntu"]
    rows = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(f"{proto} {address}" for proto, _, _, _, address, *_ in map(str.split, rows))


def main() -> None:
    work = json.load(sys.stdin)
    exchange = Exchange()
    for server in work["servers"]:
        exchange.serve(**server)
    json.dump({"listeners": listeners(), "probes": exchange.run(work["probes"])}, sys.stdout)


if __name__ == "__main__":
    main()
