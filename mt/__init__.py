"""mt runs thousands of shell-step tests on one machine or a batch system and remembers what happened."""

__version__ = "2.0.0"
