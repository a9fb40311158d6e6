"""remove files of old runs by a policy, and keep the records

--keep N keeps the N newest runs of each target whole, --older AGE those that are younger; with both, a run must be
neither. In the other runs --failed and --passed say what stays of cases by their verdict: `all` files, `logs` (logs and
pages), or `none` (also called `numbers`): then the directory goes. Without either, nothing stays of old cases; with
only one of them, the other is `all`. Records, numbers and verdicts always stay; see mt-rm for more.

The policy may stand in megatest.config, what is typed counts before it:

    [clean]
    keep 5
    older 14d
    failed all
    passed logs

Frozen runs, runs that are driven, and cases that run are never touched, nor is the newest case of a test that was
WAIVED, because its files excuse the next failure (unless --force). An age is written as `14d`, `1d12h`, `2w`, `1M` (a
month) or `1y`. Each case is a row with the bytes that went.

EXAMPLES

    $ mt clean --keep 5 --older 14d --failed all --passed logs -n --allow-empty
    Say what would go, with bytes, and the sum.

    $ mt clean --keep 5 --older 14d --failed all --passed logs -q --allow-empty
    The same from cron, for real.

    $ mt clean -t rel/% --passed none -n -f ndjson --allow-empty | jq .bytes
    What passing cases of some targets use.

EXIT STATUS

    0  it is gone, or nothing had to go
    1  a run was passed over because its files cannot be touched
    2  usage; no policy is given
    3  the words of the policy mean nothing
    7  no such run
    9  the area may not be written, or the one run that was named is frozen

SEE ALSO

    mt-rm, mt-freeze, mt-archive-save, mt-disks, mt-config(5)
"""

from __future__ import annotations

from mt.errors import UsageError
from mt.model import case_id
from mt.options import RowOptions, RunOptions, flag, opt
from mt.rows import EmptyOption, answer
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mt.pipeline.keeping import Cleaned

LEVELS = ("all", "logs", "none", "numbers")
COLUMNS = ("id", "state", "status", "action", "bytes", "dir")


class Options(RunOptions, RowOptions, EmptyOption):
    """What was typed."""

    keep: int | None = opt("--keep", meta="N", help="keep the N newest runs of each target")
    older: str | None = opt("--older", meta="AGE", help="keep runs that are younger than AGE")
    failed: str | None = opt(
        "--failed", meta="WHAT", choices=LEVELS, help="of cases that are not good keep all, logs or none"
    )
    passed: str | None = opt("--passed", meta="WHAT", choices=LEVELS, help="of good cases keep all, logs or none")
    force: bool = flag("--force", help="remove files that a waiver needs, too")
    dry_run: bool = flag("-n", "--dry-run", help="say what would go, and do nothing")


def main(opts: Options) -> int:
    """Apply the policy; print a row for each case that lost files."""
    from mt.area import Area
    from mt.patterns import is_wild
    from mt.pipeline import keeping
    from mt.pipeline.frozen import refuse_frozen
    from mt.rows import Runs

    area = Area.open(opts.chdir)
    keep = None if opts.keep is None else str(opts.keep)
    policy = keeping.policy_of(area, keeping.Typed(keep, opts.older, opts.failed, opts.passed))
    if policy is None:
        raise UsageError("which policy? none is given", hint="mt clean --keep 5 -n, or [clean] in megatest.config")
    runs = Runs(opts)
    if not opts.dry_run:
        runs.store.need_write()
    every = [runs.fresh(run) for run in runs.matching("%", "%")]
    chosen = runs.named(())
    if opts.run and not is_wild(opts.run):
        for run in chosen:
            refuse_frozen(runs.store, run.id)
    found = list(keeping.clean(area.home, runs.store, every, chosen, policy, force=opts.force, dry=opts.dry_run))
    write_rows((row for one in found for row in _rows(one)), opts, COLUMNS)
    _tell(found, opts)
    return answer(len(chosen), opts, "runs") or (1 if any(one.failed for one in found) else 0)


def _rows(one: Cleaned) -> Iterator[dict[str, Any]]:
    for cut, freed in one.done:
        yield {
            "id": case_id(one.run.key, cut.row.key), "target": one.run.target, "run": one.run.name,
            "test": cut.row.test, "item": cut.row.item, "state": cut.row.state, "status": cut.row.status,
            "action": "remove" if cut.level == "none" else "keep logs", "bytes": freed, "dir": cut.held.link,
        }  # fmt: skip


def _tell(found: list[Cleaned], opts: Options) -> None:
    """One line for each run that lost something or was passed over, and the sum."""
    word = "would free" if opts.dry_run else "freed"
    for one in found:
        if one.passed_over and (one.failed or not opts.quiet):
            left = "is left from there on" if one.done else "is left as it is"
            say(f"{one.run.key} {left}: {one.passed_over}")
        if one.done and not opts.quiet:
            say(f"{one.run.key}: {word} {sum(n for _, n in one.done)} bytes of {len(one.done)} cases")
    if not opts.quiet:
        cases = sum(len(one.done) for one in found)
        say(f"{word} {sum(n for one in found for _, n in one.done)} bytes of {cases} cases in all")
