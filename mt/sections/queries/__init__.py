"""Verbs that answer; they never change anything."""
