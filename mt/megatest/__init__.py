"""The old command line `megatest`: its words in, its texts and statuses out, on top of what mt does (spec/runs.md)."""
