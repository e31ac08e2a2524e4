"""Docker hosts as somebody sets them up, what iptexplain must read back from them, and who then calls whom.

Each engine is given the lines of ``docker``; then an administrator adds his own. Every container serves 80/tcp and 53/udp besides
what it publishes, the host 7000/tcp and 7000/udp, and who is outside 80/tcp and 53/udp. ``web.front`` is the address that web has
on the network front, ``host.front`` the host's own there; host2 is 192.0.2.11, and localhost 127.0.0.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.rules.values import Family


class Port(NamedTuple):
    """A published port; ``container``: who has it, by name."""

    host_ip: str
    host_port: int
    proto: str
    container: str
    container_port: int


class Configuration(NamedTuple):
    """An engine, with what is done to it and must then be true of it.

    ``backend``: nft or legacy; ``options``: dockerd's; ``networks``: settings as ``iptexplain networks`` names them; ``probes``: who
    calls whom, and for which services. A client outside and the host itself call every published port besides. ``family``: that of
    their addresses.
    """

    backend: str
    options: str
    docker: str
    administrator: str
    networks: dict[str, dict[str, Any]]
    ports: tuple[Port, ...]
    probes: str
    family: Family = 4


OPEN = {"default": False, "icc": True, "internal": False, "masquerade": True, "userland_proxy": True}
CLOSED = {**OPEN, "icc": False}
INTERNAL = {**OPEN, "internal": True, "masquerade": False}
NO_PROXY = {**OPEN, "userland_proxy": False}

CONFIGURATIONS = {
    "plain": Configuration(
        backend="nft",
        options="",
        docker="""
            network create --subnet 172.20.0.0/16 -o com.docker.network.bridge.name=front0 front
            network create --subnet 172.21.0.0/16 back
            network create --subnet 172.22.0.0/16 --internal inside
            run --name web -p 8080:80 -p 127.0.0.1:8081:80 -p 192.0.2.11:8082:80 -p 9000-9001:9000-9001 -p 5353:53/udp
            run --name app
            run --name api --network front -p 8090:80
            run --name both --network front -p 8070:80
            network connect back both
            run --name db --network back
            run --name safe --network inside
            run --name vault --network inside
        """,
        administrator="",
        networks={
            "bridge": {**OPEN, "default": True, "subnets": ["172.17.0.0/16"]},
            "front": {**OPEN, "bridge": "front0", "subnets": ["172.20.0.0/16"]},
            "back": {**OPEN, "subnets": ["172.21.0.0/16"]},
            "inside": {**INTERNAL, "subnets": ["172.22.0.0/16"]},
        },
        ports=(
            Port("0.0.0.0", 8080, "tcp", "web", 80),
            Port("127.0.0.1", 8081, "tcp", "web", 80),
            Port("192.0.2.11", 8082, "tcp", "web", 80),
            Port("0.0.0.0", 9000, "tcp", "web", 9000),
            Port("0.0.0.0", 9001, "tcp", "web", 9001),
            Port("0.0.0.0", 5353, "udp", "web", 53),
            Port("0.0.0.0", 8090, "tcp", "api", 80),
            # Of several networks, the first by name has a container's ports.
            Port("0.0.0.0", 8070, "tcp", "both.back", 80),
        ),
        probes="""
            client > host2 8080/tcp
            client > host 8082/tcp 9002/tcp 5353/tcp 8070/tcp 7000/tcp 7000/udp 4444/udp ping
            remote > host 8080/tcp 5353/udp
            client > web 80/tcp 9000/tcp 53/udp 81/tcp ping
            client > app 80/tcp 53/udp
            client > db 80/tcp
            client > safe 80/tcp
            host > web 80/tcp 81/tcp 53/udp 81/udp ping
            host > api 80/tcp
            host > safe 80/tcp
            host > localhost 8080/tcp 8082/tcp 9001/tcp 5353/udp 7000/tcp
            host > host 8081/tcp 7000/udp
            host > host.bridge 8080/tcp
            host > remote 80/tcp ping
            app > web 80/tcp 81/tcp 53/udp 81/udp ping
            app > api 80/tcp 53/udp ping
            app > safe 80/tcp
            app > host 8080/tcp 8082/tcp 8081/tcp 8090/tcp 5353/udp 7000/tcp
            app > host2 8082/tcp
            app > host.bridge 8080/tcp 8090/tcp 7000/udp ping
            app > host.front 8090/tcp
            app > remote 80/tcp 53/udp ping
            app > client 80/tcp
            web > host 8080/tcp 5353/udp
            web > host.bridge 8080/tcp
            api > host.bridge 5353/udp
            api > both.front 80/tcp
            both > api 80/tcp
            both > db 80/tcp
            both > web 80/tcp
            both > remote 80/tcp
            db > both.back 80/tcp
            db > both.front 80/tcp
            db > api 80/tcp
            db > host 8070/tcp
            db > host.back 8070/tcp
            safe > vault 80/tcp ping
            safe > remote 80/tcp 53/udp ping
            safe > client 80/tcp
            safe > web 80/tcp
            safe > host.inside 7000/tcp ping 8080/tcp
            safe > host 7000/udp 8080/tcp
        """,
    ),
    "closed": Configuration(
        backend="nft",
        options="--icc=false --ip 192.0.2.11",
        docker="""
            network create --subnet 172.20.0.0/16 -o com.docker.network.bridge.enable_icc=false quiet
            run --name db --expose 5432 -p 8080:80 -p 0.0.0.0:8443:5432 -p 127.0.0.1:8082:80
            run --name app --link db:db
            run --name other
            run --name one --network quiet -p 8090:80 -p 192.0.2.10:5353:53/udp
            run --name two --network quiet
            run --name monitor --network host
            run --name side --network container:db
        """,
        administrator="""
            iptables -I DOCKER-USER -i eth0 -s 198.51.100.0/24 -p tcp -m conntrack --ctorigdstport 8080 -j REJECT
            iptables -I DOCKER-USER -i eth0 -s 198.51.100.0/24 -p udp -j REJECT
            iptables -I DOCKER-USER -i eth0 -p tcp --dport 8443 -j DROP
            iptables -I DOCKER-USER -i eth0 -p tcp --dport 53 -j DROP
            iptables -A INPUT -i docker0 -p tcp --dport 8090 -j REJECT --reject-with tcp-reset
            iptables -A INPUT -i docker0 -p udp -j REJECT
            iptables -A INPUT -i eth0 -p tcp --dport 7000 -j DROP
            iptables -A INPUT -s 172.20.0.0/16 -p icmp -j DROP
        """,
        networks={
            "bridge": {**CLOSED, "default": True, "subnets": ["172.17.0.0/16"]},
            "quiet": {**CLOSED, "subnets": ["172.20.0.0/16"]},
        },
        ports=(
            Port("192.0.2.11", 8080, "tcp", "db", 80),
            Port("0.0.0.0", 8443, "tcp", "db", 5432),
            Port("127.0.0.1", 8082, "tcp", "db", 80),
            Port("0.0.0.0", 8090, "tcp", "one", 80),
            Port("192.0.2.10", 5353, "udp", "one", 53),
        ),
        probes="""
            client > host 8080/tcp 7000/tcp 7000/udp
            client > host2 5353/udp
            client > db 80/tcp 5432/tcp
            client > one 53/tcp
            remote > host2 8080/tcp
            remote > host 8443/tcp 5353/udp 7000/tcp
            host > host 8080/tcp
            host > localhost 8080/tcp 8443/tcp
            host > db 5432/tcp
            host > one ping
            app > db 5432/tcp 80/tcp ping 53/udp
            db > app 80/tcp
            db > other 80/tcp
            other > db 5432/tcp 80/tcp ping
            other > host2 8080/tcp 8090/tcp
            other > host 8443/tcp 5353/udp
            other > host.bridge 7000/tcp 7000/udp
            other > remote 80/tcp
            other > one 80/tcp
            db > host 8443/tcp
            one > two 80/tcp 53/udp ping
            two > one 80/tcp
            two > host2 8090/tcp 8080/tcp
            two > host 5353/udp
            two > db 80/tcp
            two > host.quiet 7000/tcp ping
            two > remote 53/udp
        """,
    ),
    "no-proxy": Configuration(
        backend="legacy",
        options="--userland-proxy=false",
        docker="""
            network create --subnet 172.20.0.0/16 front
            network create --subnet 172.21.0.0/16 -o com.docker.network.bridge.enable_ip_masquerade=false bare
            run --name web -p 8080:80 -p 127.0.0.1:8081:80 -p 192.0.2.11:8082:80 -p 5353:53/udp
            run --name app
            run --name api --network front -p 8090:80 -p 5354:53/udp
            run --name far --network front
            run --name own --network bare -p 8070:80
        """,
        administrator="",
        networks={
            "bridge": {**NO_PROXY, "default": True, "subnets": ["172.17.0.0/16"]},
            "front": {**NO_PROXY, "subnets": ["172.20.0.0/16"]},
            "bare": {**NO_PROXY, "masquerade": False, "subnets": ["172.21.0.0/16"]},
        },
        ports=(
            Port("0.0.0.0", 8080, "tcp", "web", 80),
            Port("127.0.0.1", 8081, "tcp", "web", 80),
            Port("192.0.2.11", 8082, "tcp", "web", 80),
            Port("0.0.0.0", 5353, "udp", "web", 53),
            Port("0.0.0.0", 8090, "tcp", "api", 80),
            Port("0.0.0.0", 5354, "udp", "api", 53),
            Port("0.0.0.0", 8070, "tcp", "own", 80),
        ),
        probes="""
            client > host 8082/tcp 7000/tcp
            client > web 80/tcp
            client > app 80/tcp
            remote > host 8090/tcp
            host > localhost 8080/tcp 8082/tcp 5353/udp 8090/tcp 8070/tcp
            host > host.front 8080/tcp
            host > web 80/tcp ping
            app > web 80/tcp ping
            app > host 8080/tcp 5353/udp 8090/tcp 8070/tcp 8081/tcp
            app > host.bridge 8080/tcp 5353/udp
            app > host2 8082/tcp
            app > api 80/tcp
            app > remote 80/tcp
            web > host 8080/tcp 5353/udp
            web > host.bridge 8080/tcp
            api > host 8090/tcp 5354/udp
            far > host 8090/tcp 5354/udp 8080/tcp 7000/tcp
            far > host.front 8090/tcp
            far > host.bridge 8080/tcp
            far > web 80/tcp
            own > remote 80/tcp
            own > client ping
            own > host 8070/tcp 8080/tcp
            own > host.bare 7000/udp
        """,
    ),
    "guarded": Configuration(
        backend="nft",
        options="--icc=false --userland-proxy=false",
        docker="""
            network create --subnet 172.20.0.0/16 front
            run --name web -p 8080:80 -p 5353:53/udp
            run --name app
            run --name api --network front -p 8090:80 -p 5354:53/udp
            run --name far --network front
        """,
        administrator="""
            sysctl -qw net.bridge.bridge-nf-call-iptables=0
            iptables -P INPUT DROP
            iptables -A INPUT -i lo -j ACCEPT
            iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            iptables -A INPUT -s 192.0.2.0/24 -p tcp --dport 7000 -j ACCEPT
            iptables -A OUTPUT -d 172.20.0.0/16 -p udp -j REJECT
            iptables -A OUTPUT -d 172.17.0.3/32 -p tcp -j DROP
            iptables -I DOCKER-USER -s 172.20.0.2/32 -o eth0 -j DROP
            iptables -t raw -A PREROUTING -s 198.51.100.0/24 -p udp --dport 5353 -j DROP
            iptables -t mangle -A FORWARD -i docker0 -o eth0 -p icmp -j DROP
        """,
        networks={
            "bridge": {**NO_PROXY, "icc": False, "default": True, "subnets": ["172.17.0.0/16"]},
            "front": {**NO_PROXY, "subnets": ["172.20.0.0/16"]},
        },
        ports=(
            Port("0.0.0.0", 8080, "tcp", "web", 80),
            Port("0.0.0.0", 5353, "udp", "web", 53),
            Port("0.0.0.0", 8090, "tcp", "api", 80),
            Port("0.0.0.0", 5354, "udp", "api", 53),
        ),
        probes="""
            remote > host 5353/udp 7000/tcp
            client > host 7000/tcp 4444/tcp ping
            host > localhost 7000/udp 8080/tcp 5354/udp
            host > web ping
            host > app ping 80/tcp
            host > api 53/udp 80/tcp
            host > remote 80/tcp
            app > web 80/tcp 81/tcp 53/udp ping
            app > host 8080/tcp 5353/udp 8090/tcp
            app > host.bridge 8080/tcp 7000/tcp ping
            app > remote 80/tcp ping
            web > host 8080/tcp 5353/udp
            far > api 80/tcp
            far > host 8090/tcp 8080/tcp
            far > host.front 5354/udp
            far > remote ping 53/udp
            api > host 8090/tcp
            api > remote 80/tcp 53/udp
        """,
    ),
}
