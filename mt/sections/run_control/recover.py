"""look for lost tests: adopt what lives, settle what is dead, say what is lost

For runs that nobody drives, all of them unless some are named.  A case that counts as running is one of three things.
Its worker lives: the next `mt run` adopts it.  Its worker is provably dead: the case is INCOMPLETE, the same `mt run`
starts it again, and what it left running is ended.  Or nobody here can prove either, as where locks do not work between
hosts: then it is watched for --patience seconds, and without a sign of life it is LOST, neither failed nor running.
What a lost case still tells counts when it arrives, and one that shows life again is RUNNING again.

What jobs on batch engines left behind of runs that are not driven and have ended or been removed is tidied up.

One row for each case that was looked at, with the evidence.  No clocks of two machines are compared.

EXAMPLES

    $ mt recover
    Look at all runs.

    $ mt recover w49.1 -n
    Say what would be recorded of one run.

    $ mt recover -q && mt status -q
    In cron: settle what is dead, then ask how the last run stands.

EXIT STATUS

    0    everything that was looked at lives or was settled
    2    usage
    5    the store cannot be used
    8    something is lost

SEE ALSO

    mt-run, mt-stop, mt-why, mt-status
"""

from __future__ import annotations

from mt.options import RowOptions, RunOptions, flag, opt, rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mt.pipeline.dead import Found

COLUMNS = ("id", "was", "now", "host", "pid", "evidence")


class Options(RunOptions, RowOptions):
    """What was typed."""

    patience: float | None = opt(
        "--patience",
        meta="SECONDS",
        help="how long to wait for signs of life; else [setup] lost-after",
    )
    dry_run: bool = flag("-n", "--dry-run", help="say what would be recorded, and record nothing")
    runs: tuple[str, ...] = rest("RUN", help="runs by name or TARGET//RUN; all without one", complete="runs")


def main(opts: Options) -> int:
    """Look, record, tell."""
    from mt.pipeline.bags_gone import remove_all
    from mt.pipeline.dead import recover
    from mt.rows import Runs
    from mt.stdio import say, write_rows

    runs = Runs(opts)
    patience = _lost_after(opts.chdir) if opts.patience is None else max(opts.patience, 0.0)
    found = recover(runs.store, runs.named(opts.runs), patience, dry=opts.dry_run)
    shown = [one for one in found if not opts.quiet or one.now != one.was]
    write_rows(_rows(shown), opts, COLUMNS)
    if not (opts.dry_run or opts.runs):
        for error in remove_all(runs.store):
            say(error.what)
    return 8 if any(one.now.state == "LOST" for one in found) else 0


def _lost_after(chdir: str | None) -> float:
    """What the area says; an area that cannot be read says nothing."""
    from mt.area import Area
    from mt.errors import MtError
    from mt.pipeline.history import PATIENCE, patience

    try:
        return patience(Area.open(chdir))
    except MtError:
        return PATIENCE


def _rows(found: Iterable[Found]) -> Iterator[dict[str, object]]:
    from mt.model import case_id

    for run, was, now, evidence in found:
        yield {
            "id": case_id(run.key, was.key), "was": f"{was.state}/{was.status}", "now": f"{now.state}/{now.status}",
            "host": was.host, "pid": was.pid, "evidence": evidence,
        }  # fmt: skip
