"""Shapes of values, for type checkers: nothing here is imported where the agent runs."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Endpoint = tuple[str, int]
SocketAddress = tuple[str, int] | tuple[str, int, int, int]
