"""say why a case is as it is

One screen for each case: why it was not selected, what it waits for, who blocks it, why it was skipped, that it was
handed over and is silent, or why it has its verdict: the step that failed, what its log rules say, and the lines that
read like trouble.  Then the notes of the controller and how earlier attempts ended.

A test that has no case in the run is looked up in the area's files.

Of a case in a batch engine it says where it waits, what the engine was heard to say of its job and when, and which
command asks the engine itself; `mt jobs --ask` asks it now.

The answer in one word, `answer` in `-f ndjson`, is good, failed, skipped, prerequisite, waiting, slot, undriven,
queued, silent, running, killed, lost, interrupted, unjudged, empty or absent.

EXAMPLES

    $ mt why diskperf/sda/4k
    One case of the last run.

    $ mt tests -s FAIL -f ids | mt why - | less
    All failures, one after the other.

    $ mt why summary -f ndjson | jq -r .answer
    The answer in one word, for a program.

EXIT STATUS

    0  there is an answer
    3  there is no such test
    7  nothing matches

SEE ALSO

    mt-show, mt-log, mt-plan, mt-tests, mt-jobs
"""

from __future__ import annotations

import os
import sys

from mt.model import CaseKey, RunRow, case_id
from mt.options import RowOptions, rest
from mt.pipeline.reasons import MOST, Answer, Blockers, Facts, about
from mt.rows import CaseOptions, Cases, Picked, answer
from mt.stdio import chosen_format, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mt.area import Area
    from mt.model import CaseRow, StepRow
    from mt.pipeline.handed import Handed
    from mt.rows import Row


class Options(CaseOptions, RowOptions):
    """What was typed."""

    ids: tuple[str, ...] = rest(
        "ID", help="ids or patterns of cases; - reads them from stdin", need=True, complete="ids"
    )


def main(opts: Options) -> int:
    """Answer for each case."""
    cases = Cases(opts, opts.ids)
    rows = [row for picked in cases.picked for row in _answers(cases, picked)]
    if chosen_format(opts) in ("table", "tsv"):
        sys.stdout.write("\n".join(page(row) for row in rows))
    else:
        write_rows(rows, opts, ("id", "answer"))
    return answer(len(rows), opts, "cases")


def page(row: Row) -> str:
    """One answer as text for people."""
    return f"{row['id']}\n" + "".join(f"  {line}\n" for line in row["because"])


def _answers(cases: Cases, picked: Picked) -> Iterator[Row]:
    found = list(cases.of(picked))
    steps = cases.steps_of(picked, found)
    blockers = Blockers(picked.run.key, lambda: _area(cases, picked.run), lambda: cases.all_of(picked.run))
    handed = _handed(cases, picked.run, found)
    for row in found:
        yield _row(
            picked.run, row.key, _told(cases, picked, row, steps.get(row.key, []), blockers, handed.get(row.key))
        )
    if not (cases.states or cases.statuses):
        for test, item in picked.named:
            if not any(row.test == test and item in (None, row.item) for row in found):
                key = CaseKey(test, item or "")
                yield _row(picked.run, key, blockers.absent(key))


def _handed(cases: Cases, run: RunRow, found: Sequence[CaseRow]) -> dict[CaseKey, Handed]:
    """What is known of those cases that a batch engine has or had."""
    mine = [row for row in found if row.token]
    if not mine:
        return {}
    from mt.pipeline.handed import Hands
    from mt.pipeline.jobs import RunJobs

    hands = Hands(RunJobs(cases.runs.store.root, run.id))
    return {row.key: handed for row in mine if (handed := hands.of(row))}


def _told(
    cases: Cases, picked: Picked, row: CaseRow, steps: Sequence[StepRow], blockers: Blockers, handed: Handed | None
) -> Answer:
    """The answer with the notes and the earlier attempts."""
    values = [v for v in cases.values(picked, row.key) if v.attempt == row.attempt]
    told = about(Facts(row, steps, values, cases.is_controlled(picked), handed), blockers.of)
    if row.reason:
        told.lines.append(f"decided: {row.reason}")
    for note in cases.notes(picked, row.key)[-MOST:]:
        told.lines.append(f"note of {note['time']}: {note['text']}")
    for old in cases.attempts(picked, row.key):
        comment = f": {old.comment}" if old.comment else ""
        told.lines.append(f"attempt {old.attempt} was {old.state}/{old.status}{comment}")
    return told


def _area(cases: Cases, run: RunRow) -> Area:
    from mt.area import Area

    return Area.open(cases.runs.store.home, target=run.target, run=run.name, environ=os.environ)


def _row(run: RunRow, key: CaseKey, told: Answer) -> Row:
    return {
        "id": case_id(run.key, key),
        "target": run.target,
        "run": run.name,
        "test": key.test,
        "item": key.item,
        "answer": told.word,
        "because": told.lines,
    }
