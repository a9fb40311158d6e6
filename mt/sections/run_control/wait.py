"""wait until a run is over

Waits as long as somebody drives the run, and answers with the verdict of the whole run.

EXAMPLES

    $ mt wait
    Wait for the last run.

    $ mt wait -t ubuntu/nfs -r w49.1 --timeout 3600 --allow-empty
    Wait an hour at most.

EXIT STATUS

    0  all its cases are good
    1  some failed
    2  usage
    4  it still runs, and the time is over
    7  there is no such run
    8  no failure, but interrupted, lost or blocked cases remain

SEE ALSO

    mt-run, mt-status
"""

from __future__ import annotations

from mt.options import RunOptions, opt, rest
from mt.rows import EmptyOption, Runs, answer


class Options(RunOptions, EmptyOption):
    """What was typed."""

    timeout: float | None = opt("--timeout", meta="SECS", help="wait at most so long")
    runs: tuple[str, ...] = rest("RUN", help="runs as TARGET//RUN; patterns are allowed", complete="runs")


def main(opts: Options) -> int:
    """Wait for each run; the worst verdict counts."""
    import time

    from mt.errors import BusyError
    from mt.locks.filelock import held
    from mt.queries import counts
    from mt.states import exit_status

    runs = Runs(opts)
    found = runs.named(opts.runs, default_last=True)
    until = None if opts.timeout is None else time.monotonic() + opts.timeout
    total: dict[tuple[str, str], int] = {}
    for run in found:
        left = True if until is None else max(until - time.monotonic(), 0.001)
        try:
            with held(runs.store.lock_path(f"run.{run.id}"), wait=left, what="waits for the run"):
                pass
        except BusyError as e:
            raise BusyError(f"run '{run.key}' is not over after {opts.timeout:g} s") from e
        runs.fold(run)
        for how, n in counts(runs.store, run.id).items():
            total[how] = total.get(how, 0) + n
    return answer(len(found), opts, "runs") or exit_status(total)
