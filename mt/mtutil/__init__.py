"""The old command line `mtutil`: many areas driven by packets (spec/runs.md 1.8)."""
