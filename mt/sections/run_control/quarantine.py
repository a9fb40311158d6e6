"""run tests whose bad verdicts do not count, for a while

A flaky test in quarantine runs as always, and its result is there to be looked at; but FAIL, ABORT and DEAD become
WAIVED, with a comment that says until when it is quarantined and for whom to ask.  After the last day its verdict
counts again.  Entries stand in `waivers.config` beside megatest.config, one section each, to be kept with the sources.

ID is an id or a pattern as everywhere: `TEST`, `TEST/ITEM`, `TARGET//RUN//TEST/ITEM`, in which % and * are wildcards
and what is left out means all.  -s names other verdicts that do not count, --comment narrows it to such comments.

- add puts in an entry; the word may be left out
- list shows the entries, with the days that are left; ids narrow it
- check shows those that have expired, match no test, or cannot be understood
- remove takes entries out, by their ids as listed, or all that have --expired
- renew gives an entry a new last day, expire ends it now

For one known failure `mt waive` is the narrower word.

EXAMPLES

    $ mt quarantine broken --ticket BUG-77 --owner mary --until 30d
    It may be as red as it likes for a month.

    $ mt quarantine list --fields id,owner,days --sort days -f table --allow-empty
    Which ones end next?

    $ mt quarantine check -f ndjson
    For a nightly job: which ones have ended?

EXIT STATUS

    0  done; with check, all entries are of use
    1  with check, some are not
    2  usage
    7  no such entry
    9  the file cannot be written

SEE ALSO

    mt-waive, mt-set, mt-check
"""

from __future__ import annotations

from mt.pipeline.excusing import ExcuseOptions


class Options(ExcuseOptions):
    """What was typed."""


def main(opts: Options) -> int:
    """Do it."""
    from mt.pipeline.excusing import act

    return act("quarantine", opts)
