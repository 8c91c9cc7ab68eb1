"""Previews: a reverse proxy on this machine's loopback, with a name and so an origin of its own for each task."""

from heddle.adapters.previews.server import LocalPreviews

__all__ = ["LocalPreviews"]
