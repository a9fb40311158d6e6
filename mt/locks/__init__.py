"""Exclusion: everything that keeps two processes apart."""
