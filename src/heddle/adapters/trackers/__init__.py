"""Task lists that live elsewhere, one module per format. All that they hold is data: huge, malformed or hostile."""

from heddle.adapters.trackers.lists import TaskLists

__all__ = ["TaskLists"]
