"""excuse known failures, with a ticket, an owner and a last day

A case that fails and is waived becomes WAIVED in place of FAIL, with a comment that names ticket, owner and last day;
its run is not bad because of it.  After the last day a failure counts again.  Entries stand in `waivers.config` beside
megatest.config, one section each, to be kept with the sources; whatever else that file holds is left alone.

ID is an id or a pattern as everywhere: `TEST`, `TEST/ITEM`, `TARGET//RUN//TEST/ITEM`, in which % and * are wildcards
and what is left out means all.  Only FAIL is excused unless -s names other verdicts, and with --comment only failures
with such a comment, so that a test that fails in a new way is not excused for the old one.

- add puts in an entry; the word may be left out
- list shows the entries, with the days that are left; ids narrow it
- check shows those that have expired, match no test, or cannot be understood
- remove takes entries out, by their ids as listed, or all that have --expired
- renew gives an entry a new last day, expire ends it now

What is recorded already stays as it is: `mt set WAIVED` changes that.  For a test whose verdict should not count at all
see `mt quarantine`.

EXAMPLES

    $ mt waive 'ubuntu/%//%//diskperf/sda%' --ticket BUG-12 --until 2w
    Known on one kind of target.

    $ mt waive broken -m 'new compiler warns' --comment '%warning%' --until never -s FAIL,ABORT
    Only when the comment says so.

    $ mt tests -s FAIL -f ids | mt waive add - --all-runs --ticket BUG-13
    Everything that failed in the last run, from the next run on.

    $ mt waive check || mt waive remove --expired --allow-empty
    Tidy up.

EXIT STATUS

    0  done; with check, all entries are of use
    1  with check, some are not
    2  usage
    7  no such entry
    9  the file cannot be written

SEE ALSO

    mt-quarantine, mt-set, mt-check
"""

from __future__ import annotations

from mt.pipeline.excusing import ExcuseOptions


class Options(ExcuseOptions):
    """What was typed."""


def main(opts: Options) -> int:
    """Do it."""
    from mt.pipeline.excusing import act

    return act("waive", opts)
