"""Programs and a Docker socket that are not the real ones: they answer with what a test gives them."""

from __future__ import annotations

import json
import shlex
import shutil
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

from tests.conftest import ROOT

INSPECTED = {
    kind: json.loads((ROOT / f"fixtures/capture/{kind}.json").read_text()) for kind in ("networks", "containers")
}
"""What an engine really printed, with all that must not get into a snapshot."""


CAT = shutil.which("cat")


def program(folder: Path, name: str, script: str) -> None:
    """A shell script that stands for a program; ``"$*"`` are its arguments."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def printing(folder: Path, name: str, answers: dict[str, Any]) -> None:
    """A program that prints the answer whose words its arguments are, and fails for all others.

    What is no text is printed as JSON.
    """
    cases = ""
    for number, (words, answer) in enumerate(answers.items()):
        file = folder / f".{name}-{number}"
        file.write_text(answer if isinstance(answer, str) else json.dumps(answer))
        cases += f"{shlex.quote(words)}) {CAT} {shlex.quote(str(file))};;\n"
    program(folder, name, f'case "$*" in\n{cases}*) echo "$0: not expected: $*" >&2; exit 1;;\nesac')


def docker_command(folder: Path, inspected: dict[str, list[Any]], version: str = "20.10.24") -> None:
    """The ``docker`` command of an engine that knows these networks and containers."""
    ids = {kind: [item["Id"][:12] for item in items] for kind, items in inspected.items()}
    answers: dict[str, Any] = {
        "version --format {{.Server.Version}}": f"{version}\n",
        "network ls -q": "".join(f"{each}\n" for each in ids["networks"]),
        "ps -q": "".join(f"{each}\n" for each in ids["containers"]),
    }
    asked = {"networks": "network inspect", "containers": "inspect"}
    answers |= {" ".join([asked[kind], *ids[kind]]): inspected[kind] for kind in ids if ids[kind]}
    printing(folder, "docker", answers)


class DockerSocket:
    """A socket that answers as the Engine API does, for as long as the ``with`` block runs.

    ``answers``: path → object, or HTTP status. All else is not found.
    """

    def __init__(self, path: Path, answers: dict[str, Any]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                found = answers.get(self.path, 404)
                text = found if isinstance(found, str) else json.dumps(found)
                self.send_response(found if isinstance(found, int) else 200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def api(inspected: dict[str, list[Any]], version: str = "20.10.24") -> dict[str, Any]:
    """What an engine's socket answers that knows these networks and containers."""
    return {
        "/version": {"Version": version, "ApiVersion": "1.41"},
        "/networks": [{"Id": n["Id"], "Name": n["Name"]} for n in inspected["networks"]],
        "/containers/json": [{"Id": c["Id"], "Names": [c["Name"]]} for c in inspected["containers"]],
        **{f"/networks/{n['Id']}": n for n in inspected["networks"]},
        **{f"/containers/{c['Id']}/json": c for c in inspected["containers"]},
    }
