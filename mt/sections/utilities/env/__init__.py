"""Environments as files: save one, compare two, run a command in one."""
