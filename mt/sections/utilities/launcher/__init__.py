"""Launchers: which there are, and whether one works."""
