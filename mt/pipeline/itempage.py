"""megatest-rollup-TEST.html: one page for all items of a test, above their directories (spec/config.md 5.3).

It stands in the test's directory of the link tree, links to the log of each
item, and is replaced by rename under the lock `megatest-rollup-TEST.html.lock`,
so a browser never sees half of it and two writers never mix.  `[testrollup]
TEST command` makes the page instead: what the command prints is the page, and
the old page stays when it fails or takes too long.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from mt.durations import shown
from mt.errors import MtError, NotPermitted, why
from mt.locks.filelock import held
from mt.model import CaseKey, CaseRow, RunKey, case_id
from mt.pipeline.summary import escape
from mt.queries import FINAL_LOG, Top, cases, final_logs, tops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.area import Area
    from mt.db import Store

#: seconds that a command of [testrollup] may take
LIMIT = 60.0
_PATIENCE = 10.0
_STYLE = (
    "body{font-family:sans-serif}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left}"
    "tr:nth-child(even){background:#f4f4f4}.PASS{color:#060}.FAIL,.ABORT,.DEAD,.KILLED{color:#b00}.WARN{color:#a60}"
)


class Written(NamedTuple):
    """A test rolled up: its top record, the page that was written ("" when none was), and what kept one from it."""

    top: Top
    page: str = ""
    trouble: str = ""


def page_name(test: str) -> str:
    """The name of a test's page."""
    return f"megatest-rollup-{test}.html"


def summarize(
    area: Area,
    store: Store,
    run_id: int,
    run: RunKey,
    tests: Iterable[str] | None = None,
    *,
    force: bool = False,
    limit: float = LIMIT,
) -> Iterator[Written]:
    """Roll up tests of a run as they are recorded, and write the pages of those that have items.

    All tests unless some are named.  A test whose top record was given another
    log (-set-toplog) keeps that unless `force`d.  Raises nothing about a single
    page: that is its `trouble`.  What is new in journals must be folded before.
    """
    wanted = None if tests is None else set(tests)
    for top in tops(store, run_id):
        if wanted is None or top.test in wanted:
            yield _summarized(area, store, run_id, run, top, force=force, limit=limit)


def _summarized(area: Area, store: Store, run_id: int, run: RunKey, top: Top, *, force: bool, limit: float) -> Written:
    directory = os.path.join(area.linktree, run.target, run.name, top.test)
    if not top.items or not os.path.isdir(directory):
        return Written(top)
    logs = final_logs(store, run_id, tests=[top.test])
    if not force and logs.get(CaseKey(top.test), page_name(top.test)) != page_name(top.test):
        return Written(top)
    command = (area.setting("testrollup", top.test) or "").strip()
    try:
        if command:
            env = _environment(area.env, run, top, directory)
            return Written(top, write_by(command, directory, top.test, env, limit))
        rows = [row for row in cases(store, run_id, tests=[top.test]) if row.state != "DELETED"]
        return Written(top, write(directory, top.test, page(run, top, rows, logs, directory)))
    except MtError as e:
        return Written(top, trouble=e.what)


def _environment(env: Mapping[str, str], run: RunKey, top: Top, directory: str) -> dict[str, str]:
    """What a command of [testrollup] finds: the area's variables and the names of the test."""
    return {
        **env, "MT_TEST_NAME": top.test, "MT_ITEMPATH": "", "MT_TARGET": run.target, "MT_RUNNAME": run.name,
        "MT_TEST_RUN_DIR": directory,
    }  # fmt: skip


# -- the text


def page(run: RunKey, top: Top, rows: Sequence[CaseRow], logs: Mapping[CaseKey, str], directory: str) -> str:
    """The page as text; `logs` are as `queries.final_logs` gives them, `directory` is where the page stands."""
    name = escape(case_id(run, CaseKey(top.test)))
    body = "".join(_line(row, logs.get(row.key, FINAL_LOG), directory) for row in rows)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>\n'
        f'<h1>{name}</h1>\n<p>{escape(top.state)} <b class="{escape(top.status)}">{escape(top.status)}</b>,'
        f" {len(rows)} items</p>\n"
        "<table>\n<tr><th>Item<th>State<th>Status<th>Duration<th>Log<th>Directory<th>Comment\n"
        f"{body}</table>\n</html>\n"
    )


def _line(row: CaseRow, log: str, directory: str) -> str:
    """The line of one item; one that has not begun has nothing to link to."""
    log_link = directory_link = ""
    if row.dir:
        below = os.path.relpath(row.dir, directory)
        log_link = _link(os.path.join(below, log), log)
        directory_link = _link(f"{below}/", below)
    status = escape(row.status)
    return (
        f'<tr><td>{escape(row.item)}<td>{escape(row.state)}<td class="{status}">{status}<td>{shown(row.secs)}'
        f"<td>{log_link}<td>{directory_link}<td>{escape(row.comment)}\n"
    )


def _link(path: str, text: str) -> str:
    from urllib.parse import quote

    return f'<a href="{quote(path, errors="surrogateescape")}">{escape(text)}</a>'


# -- the file


def write(directory: str, test: str, text: str) -> str:
    """Put a text in the place of a test's page; gives its path.  Raises MtError."""
    with _replaced(directory, test) as temporary, open(temporary, "wb") as out:
        out.write(text.encode("utf-8", "surrogateescape"))
    return os.path.join(directory, page_name(test))


def write_by(command: str, directory: str, test: str, env: Mapping[str, str], limit: float = LIMIT) -> str:
    """Put what a shell command prints in the place of a test's page; gives its path.

    The command runs in `directory`, for at most `limit` seconds.  Raises
    MtError when it fails; the page is then what it was.
    """
    with _replaced(directory, test) as temporary, open(temporary, "wb") as out:
        try:
            child = subprocess.Popen(
                ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                cwd=directory, env=dict(env), start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as e:
            reason = why(e) if isinstance(e, OSError) else str(e)
            raise MtError(f"cannot run [testrollup] {test}: {reason}") from e
        _wait(child, test, limit)
    return os.path.join(directory, page_name(test))


def _wait(child: subprocess.Popen[bytes], test: str, limit: float) -> None:
    """Until the command has ended; one that takes too long is ended with all it has started."""
    with child:
        try:
            said = child.communicate(timeout=limit)[1]
        except BaseException as e:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if isinstance(e, subprocess.TimeoutExpired):
                raise MtError(f"[testrollup] {test} took longer than {limit:g} s") from None
            raise
    if child.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise MtError(f"[testrollup] {test} ended with {child.returncode}" + (f": {lines[-1]}" if lines else ""))


@contextmanager
def _replaced(directory: str, test: str) -> Iterator[str]:
    """Under the lock of a page: a name to write to, which becomes the page when all went well."""
    path = os.path.join(directory, page_name(test))
    with held(f"{path}.lock", wait=_PATIENCE, what="page of items"):
        temporary = f"{path}.{os.getpid()}.tmp"
        try:
            yield temporary
            os.replace(temporary, path)
        except OSError as e:
            raise NotPermitted(f"cannot write '{path}': {why(e)}") from e
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)


def forget(directory: str, test: str) -> None:
    """Remove the page and its lock, for whoever removes the last item of a test; what is not there is no matter."""
    for suffix in ("", ".lock", ".lock.holder"):
        try:
            os.unlink(os.path.join(directory, page_name(test) + suffix))
        except OSError:
            continue
