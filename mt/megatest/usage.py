"""Help, version, and what has no meaning any more."""

from __future__ import annotations
