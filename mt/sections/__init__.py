"""Verbs: one module each, found by name."""
