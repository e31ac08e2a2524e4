"""-m cluster"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Family, Number

MAX_NODES = 32


class Hex8(Number):
    """A number of 32 bits, saved with eight hexadecimal digits."""

    def save(self, value: int) -> str:
        return f"0x{value:08x}"


class Cluster(Match):
    """Whether this node of a cluster has to handle the packet, when every node sees every packet.

    The source address of the connection's first packet is hashed with the seed into one of the nodes.
    ``--cluster-local-node N`` is another way to write the mask with bit N-1. iptables-restore 1.8.9 takes no mask above
    32, though iptables-save prints such masks. Uses connection tracking (net/netfilter/xt_cluster.c).
    """

    name = "cluster"
    needs = ("local",)
    options = (
        Option("--cluster-local-nodemask", Hex8(1), invert=True, group="local"),
        Option("--cluster-local-node", Number(1, MAX_NODES), invert=True, group="local"),
        Option("--cluster-total-nodes", Number(1, MAX_NODES), required=True),
        Option("--cluster-hash-seed", Hex8(), required=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if "cluster_local_node" in given and "cluster_local_nodemask" not in given:
            node = given.pop("cluster_local_node")
            mask = 1 << node.value - 1
            given["cluster_local_nodemask"] = cls.setting("cluster_local_nodemask", mask, node.inverted)
        nodes, total = given.get("cluster_local_nodemask"), given.get("cluster_total_nodes")
        if nodes and total and nodes.value >> total.value:
            raise OptionError(f"cluster: the local node is beyond the {total.value} nodes of the cluster")

    @property
    def nodes(self) -> list[int]:
        """The numbers of the nodes that this host plays, from 1."""
        return [n + 1 for n in range(MAX_NODES) if self.value("cluster_local_nodemask") >> n & 1]
