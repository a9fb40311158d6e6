"""Locks of an area: who holds what."""
