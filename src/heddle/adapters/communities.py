"""Community detection, by networkx, which is loaded when the first map is drawn."""

from collections.abc import Collection, Sequence

from heddle.core.map.parts import Edges


def communities(edges: Edges) -> Sequence[Collection[str]]:
    """Groups of nodes that hold together: Louvain's method, with a fixed order and a fixed seed."""
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(sorted({node for pair in edges for node in pair}))
    graph.add_weighted_edges_from((one, other, weight) for (one, other), weight in sorted(edges.items()))
    found: list[set[str]] = networkx.community.louvain_communities(graph, seed=1) if graph else []
    return found
