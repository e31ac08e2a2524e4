"""Docker hosts whose probes go by IPv6, as engine_configurations.py writes them."""

from __future__ import annotations

from tests.kernel.engine_configurations import Configuration, Port

IPV6 = {
    "ipv6": Configuration(
        backend="nft",
        options="--experimental --ip6tables --ipv6 --fixed-cidr-v6 2001:db8:17::/64",
        docker="""
            network create --ipv6 --subnet 172.20.0.0/16 --subnet 2001:db8:20::/64 front
            network create --ipv6 --internal --subnet 172.22.0.0/16 --subnet 2001:db8:22::/64 inside
            run --name web -p 8080:80 -p [2001:db8:2::11]:8082:80 -p 5353:53/udp
            run --name app
            run --name api --network front -p 8090:80
            run --name far --network front
            run --name safe --network inside
        """,
        administrator="""
            ip6tables -A INPUT -i eth0 -p tcp --dport 7000 -j DROP
        """,
        networks={},
        ports=(
            Port("::", 8080, "tcp", "web", 80),
            Port("2001:db8:2::11", 8082, "tcp", "web", 80),
            Port("::", 5353, "udp", "web", 53),
            Port("::", 8090, "tcp", "api", 80),
        ),
        probes="""
            client > host2 8080/tcp
            client > host 8082/tcp 9002/tcp 7000/tcp 7000/udp ping
            remote > host 8080/tcp 5353/udp
            client > web 80/tcp 53/udp 81/tcp ping
            client > app 80/tcp
            client > safe 80/tcp
            host > web 80/tcp 81/tcp ping
            host > localhost 7000/tcp 8080/tcp
            host > host 7000/udp 8080/tcp
            host > host2 8082/tcp
            host > remote 80/tcp ping
            app > web 80/tcp 53/udp ping
            app > api 80/tcp ping
            app > safe 80/tcp
            app > host 8080/tcp 8090/tcp 5353/udp 7000/tcp
            app > host2 8082/tcp
            app > host.bridge 8080/tcp 7000/udp ping
            app > remote 80/tcp 53/udp ping
            web > host 8080/tcp 5353/udp
            far > api 80/tcp
            far > host 8090/tcp 8080/tcp
            far > host.front 8090/tcp
            far > web 80/tcp
            api > remote 80/tcp
            safe > remote 80/tcp ping
            safe > web 80/tcp
            safe > host.inside 7000/tcp ping
        """,
        family=6,
    ),
}
"""In 20.10 rules for IPv6 are experimental. Within an internal network nobody is called: there Docker's rules drop the questions
for neighbours, too, where the bridge asks them (br_netfilter)."""
