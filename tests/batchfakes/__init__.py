"""Commands of batch engines that have no package here, modelled on the vendors' documentation; they really run jobs.

A *site* is a directory: `knobs/` (files that a test writes), `events.ndjson`
(what happened, under `lock`), `spool/` (scripts as submitted, and output that
is copied when a job ends).  The first submission forks a scheduler, which holds
`scheduler.lock`, is woken through the pipe `wake`, and leaves when no job is
left.  Every command is a process of its own: it reads the events, and answers
in the words of its engine.  So start-up counts: `python -S -E`, few imports.
"""
