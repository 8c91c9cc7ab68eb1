"""A box whose HOME is the person's own: all that lies there can be read, and written."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from heddle.adapters.sandbox import policy
from heddle.ports import View


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made private of it."""
    real = policy.places

    def at_home(view: View, environment: Mapping[str, str], *shown: policy.Shown) -> list[dict[str, Any]]:
        return real(replace(view, home=policy.home_of(environment)), environment, *shown)

    monkeypatch.setattr(policy, "places", at_home)
