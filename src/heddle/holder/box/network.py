"""The network of a command in a box: listeners inside, served by its holder outside, and nothing else."""

from heddle.holder.box.entry import listener_in
from heddle.holder.egress import Egress

PROXY = ("127.77.77.77", 3128)
"""Where the proxy is inside: an address of the box's own loopback that no service of the session would take."""

TOOLS_AT = ("127.77.77.77", 7777)
"""Where the session's tools are inside."""


def open_network(path: str, hosts: list[str], near: list[str], forwards: list[str], tools: str = "") -> Egress | None:
    """Listen in the box whose init's socket is `path`; None when nothing is to be reached. Raises OSError."""
    if not hosts and not forwards and not tools:
        return None
    targets = {port: (host, port) for host, port in addresses(forwards)}
    egress = Egress(hosts, targets, near=near)
    if hosts:
        egress.serve_proxy(listener_in(path, *PROXY))
    for port, (host, _) in targets.items():
        egress.serve_forward(port, listener_in(path, host, port))
    if tools:
        egress.serve_tools(listener_in(path, *TOOLS_AT), tools)
    return egress


def addresses(forwards: list[str]) -> list[tuple[str, int]]:
    """Host and port of each."""
    return [(host, int(port)) for host, _, port in (name.rpartition(":") for name in forwards)]
