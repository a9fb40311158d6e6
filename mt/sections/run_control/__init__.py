"""Verbs that start, stop and change runs."""
