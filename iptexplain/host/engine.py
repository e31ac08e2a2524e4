"""Docker's own records on the live host: through its command, or through its socket where no command works."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any, NamedTuple

from iptexplain.host.inspected import VALUE, docker_facts, kept
from iptexplain.host.programs import TIMEOUT, NotInstalled, Unread, as_list, output

SOCKET = "unix:///var/run/docker.sock"


class Records(NamedTuple):
    """What the engine of this host knows; ``pids``: the first process of each running container, by the container's name."""

    facts: dict[str, Any]
    pids: dict[str, int]


def docker_records() -> Records:
    """Ask the engine; raises Unread with what hinders it."""
    host = os.environ.get("DOCKER_HOST") or SOCKET
    if not host.startswith("unix://"):
        raise Unread(f"DOCKER_HOST leads to {host}: what that engine knows need not be about this host")
    try:
        return _by_command(host)
    except Unread as e:
        complaint = e
    try:
        return _by_socket(host.removeprefix("unix://"))
    except Unread as e:
        raise (e if isinstance(complaint, NotInstalled) else complaint) from None


def _records(version: str, networks: list[Any], containers: list[Any]) -> Records:
    states = [kept(c, {"Name": VALUE, "State": {"Pid": VALUE}}) or {} for c in containers]
    pids = {str(s.get("Name")).lstrip("/"): pid for s in states if (pid := s.get("State", {}).get("Pid"))}
    return Records({"version": version, **docker_facts(networks, containers)}, pids)


def _by_command(host: str) -> Records:
    """DOCKER_HOST counts more than the command's own context, which may lead to another machine."""

    def docker(*words: str) -> str:
        return output(("docker", *words), {"DOCKER_HOST": host})

    def inspected(ids: list[str], *words: str) -> list[Any]:
        if not ids:
            return []
        try:
            text = docker(*words, *ids)
        except Unread as e:
            if not e.printed.strip("[] \n"):
                raise
            text = e.printed  # one that was removed in the meantime is complained about, all others are printed
        return as_list(text, "docker inspect")

    version = docker("version", "--format", "{{.Server.Version}}").strip()
    networks = inspected(docker("network", "ls", "-q").split(), "network", "inspect")
    return _records(version, networks, inspected(docker("ps", "-q").split(), "inspect"))


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def _by_socket(path: str) -> Records:
    """The Engine API without a version is answered by every engine, as its own version has it."""
    connection = _Connection(path)

    def get(what: str) -> Any:
        connection.request("GET", what)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None  # removed in the meantime
        if answer.status != http.HTTPStatus.OK:
            raise Unread(f"{path} answers GET {what} with {answer.status} {answer.reason}")
        return json.loads(text)

    try:
        networks = [get(f"/networks/{n['Id']}") for n in get("/networks")]
        containers = [get(f"/containers/{c['Id']}/json") for c in get("/containers/json")]
        return _records(get("/version")["Version"], networks, containers)
    except FileNotFoundError:
        raise NotInstalled(f"docker is not installed, and there is no socket {path}") from None
    except OSError as e:
        raise Unread(f"{path}: {e.strerror or e}") from None
    except (http.client.HTTPException, ValueError, LookupError, TypeError) as e:
        raise Unread(f"{path} is not answered as Docker does: {type(e).__name__}") from None
    finally:
        connection.close()
