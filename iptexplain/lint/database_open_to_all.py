"""A database's port, published on every address of the host and open to everybody outside.

`docker run -p 5432:5432` opens the port past any firewall of `INPUT`. Whether a packet from outside really gets to the container is
asked of the rules: a rule of `DOCKER-USER` that drops it settles the matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.situation import decider
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.lint.host_port_in_docker_user import DUMP

LEVEL = "warning"

DATABASES = {
    1433: "Microsoft SQL Server", 1521: "Oracle Database", 2379: "etcd", 3050: "Firebird", 3306: "MySQL or MariaDB",
    5432: "PostgreSQL", 5984: "CouchDB", 6379: "Redis or Valkey", 7474: "Neo4j", 7687: "Neo4j", 8086: "InfluxDB", 8529: "ArangoDB",
    9042: "Cassandra", 9200: "Elasticsearch or OpenSearch", 11211: "memcached", 26257: "CockroachDB", 27017: "MongoDB",
    28015: "RethinkDB", 33060: "MySQL",
}  # fmt: skip
"""The ports that databases listen on when nobody says otherwise."""

POSTGRES = (
    DUMP.replace("--dport 80 ", "--dport 5432 ").replace(":80\n", ":5432\n").replace("--dport 8080", "--dport 5432")
)
CLOSED = "-A DOCKER-USER -i eth0 -p tcp {} -j DROP\n"

FIRES = Example(POSTGRES.replace(CLOSED, ""))

QUIET = Example(POSTGRES.format("-m conntrack --ctorigdstport 5432 --ctdir ORIGINAL"))


def find(host: Host) -> Iterator[Finding]:
    """The published ports that a database has in its container, and that somebody outside gets to."""
    for port in host.docker.ports:
        if port.is_everywhere and port.proto == "tcp" and port.container_port in DATABASES and host.is_open(port):
            by = decider(host.from_outside(port))
            values = {"port": port, "database": DATABASES[port.container_port], "by": by}
            yield Finding(port.dnat.place, (by,) if by else (), values)
