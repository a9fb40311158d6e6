"""Verbs that look after areas, stores and mt itself."""
