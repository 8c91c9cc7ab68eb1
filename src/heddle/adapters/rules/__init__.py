"""Files of guidance in a checkout: read within bounds, written by a rename."""

from heddle.adapters.rules.checkout import FolderCheckout

__all__ = ["FolderCheckout"]
