"""What `mt waive` and `mt quarantine` do: list, check and change the excuses of an area (see `mt.excuses`).

The file is replaced by rename while `.mtdb/locks/waivers.lock` is held, so two
who change it at once both get their way and nobody reads half of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from mt import team
from mt.errors import MtError, NothingSelected, NotPermitted, UsageError
from mt.excuses import (
    FILE,
    KINDS,
    Entry,
    days_left,
    entries_of,
    is_date,
    text_of,
    today_is,
    trouble,
    with_entry,
    with_value,
    without,
)
from mt.options import AreaOptions, RowOptions, flag, opt, rest
from mt.replacing import replacing
from mt.rows import EmptyOption, home, user
from mt.selectors import parse_id
from mt.stdio import read_ids, say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.area import Area
    from mt.rows import Row

ACTIONS = ("add", "list", "check", "remove", "renew", "expire")
COLUMNS = ("id", "ticket", "owner", "until", "days", "expired", "reason")
#: days that an excuse holds when nobody says how long
USUAL = 30


class ExcuseOptions(AreaOptions, RowOptions, EmptyOption):
    """Options of the verbs that deal with excuses."""

    ticket: str | None = opt("--ticket", meta="T", help="where it is being worked on")
    owner: str | None = opt("--owner", meta="NAME", help="who looks after it; default: who adds it")
    until: str | None = opt(
        "--until", meta="DAY", help="the last day it holds: 2026-12-31, a time from now as 2w, or never; default: 30d"
    )
    message: str | None = opt("-m", "--message", meta="TEXT", help="why")
    status: str | None = opt("-s", "--status", meta="LIST", help="only these verdicts", complete="statuses")
    comment: str | None = opt("--comment", meta="PATT", help="only with such a comment; % is the wildcard")
    all_runs: bool = flag("--all-runs", help="put % in the place of the run of each id")
    expired: bool = flag("--expired", help="with list and remove: those whose last day has passed")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be changed, and do nothing")
    words: tuple[str, ...] = rest(
        "[ACTION] ID", help="add (the usual one), list, check, remove, renew or expire; then ids or patterns of cases,"
        " - reads them from stdin", complete="ids",
    )  # fmt: skip


def act(kind: str, opts: ExcuseOptions) -> int:
    """Do what was typed for one kind of excuse; gives the exit status."""
    action, words = named(opts.words)
    where = home(opts)
    ids = read_ids(words, null=opts.null)
    if action == "list":
        return show(kind, where, opts, ids)
    if action == "check":
        return check(kind, where, opts)
    if not ids and not (action == "remove" and opts.expired):
        raise UsageError(f"mt {kind} {action}: ID is missing", hint=f"mt {kind} -h")
    change(where, opts, lambda text: _CHANGES[action](kind, text, ids, opts))
    return 0


def named(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The action and the other words: without any it is list, with ids alone it is add."""
    if not words:
        return "list", ()
    return (words[0], words[1:]) if words[0] in ACTIONS else ("add", words)


# -- looking


def show(kind: str, where: str, opts: ExcuseOptions, ids: Sequence[str]) -> int:
    """Print the entries."""
    if not write_rows(listed(kind, where, opts, ids), opts, COLUMNS) and not opts.allow_empty:
        raise NothingSelected(f"no such entries [{kind} ID] in {FILE}", hint=f"mt {kind} ID --ticket T adds one")
    return 0


def listed(kind: str, where: str, opts: ExcuseOptions, ids: Sequence[str]) -> list[Row]:
    """One row for each entry of a kind, in the order of the file; only some when ids or `--expired` say so."""
    found = [e for e in entries_of(text_of(where)) if e.kind == kind]
    if ids:
        found = [e for e in found if e.pattern in ids]
    rows = [row_of(entry, today_is()) for entry in found]
    return [row for row in rows if row["expired"]] if opts.expired else rows


def row_of(entry: Entry, today: str) -> Row:
    """One entry as every format shows it; `days` are those left, negative when it has expired, None without an end."""
    bad = trouble(entry)
    return {
        "id": entry.pattern,
        "kind": entry.kind,
        "ticket": entry.ticket,
        "owner": entry.owner,
        "until": entry.until,
        "days": None if bad else days_left(entry.until, today),
        "expired": not bad and entry.is_over(today),
        "reason": entry.reason,
        "status": entry.status or ",".join(KINDS[entry.kind][1]),
        "comment": entry.comment,
        "added": entry.added,
        "where": f"{FILE}:{entry.first}",
        "trouble": bad,
    }


def check(kind: str, where: str, opts: ExcuseOptions) -> int:
    """Print the entries that are of no use any more, and why; 1 when there are any."""
    from mt.area import Area

    known = list(_cases(Area.open(where)))
    rows = []
    for entry in entries_of(text_of(where)):
        if entry.kind == kind:
            row = row_of(entry, today_is())
            row["trouble"] = row["trouble"] or ("expired" if row["expired"] else _unmatched(entry, known))
            rows.append(row)
    bad = [row for row in rows if row["trouble"]]
    write_rows(bad, opts, ("where", "id", "ticket", "owner", "until", "trouble"))
    if not bad and not opts.quiet:
        say(f"{len(rows)} entries, all in use")
    return int(bool(bad))


def _cases(area: Area) -> Iterator[tuple[str, str | None]]:
    """All tests with their items; None for items that are known only when the test runs."""
    from mt.testspec import item_path

    for name in area.tests():
        try:
            spec = area.spec(name)
        except MtError:  # mt check tells of it
            yield name, None
            continue
        if spec.items_deferred:
            yield name, None
        elif spec.items is None:
            yield name, ""
        else:
            for item in spec.items:
                yield name, item_path(item)


def _unmatched(entry: Entry, known: Iterable[tuple[str, str | None]]) -> str:
    from mt.patterns import TestPattern

    pattern = TestPattern.glob(parse_id(entry.pattern).pattern)
    return "" if any(pattern.matches(test, item) for test, item in known) else "no test or item is called so"


# -- changing


def change(where: str, opts: ExcuseOptions, edit: Callable[[str], str]) -> None:
    """Edit the file of the area under its lock; raises NotPermitted where it cannot be written."""
    from mt.db import Store
    from mt.locks.filelock import held

    if opts.dry_run:
        edit(text_of(where))
        return
    store = Store(where, create=True)
    with held(store.lock_path("waivers"), what=FILE):
        before = text_of(where)
        after = edit(before)
        if after != before:
            _replace(os.path.realpath(os.path.join(where, FILE)), after)


def _replace(path: str, text: str) -> None:
    """Put a new text in the place of a file, with the rights of the old one."""
    with (
        replacing(path, NotPermitted) as made,
        open(made, "w", encoding="utf-8", errors="surrogateescape", newline="") as out,
    ):
        if os.path.exists(path):
            team.keep_owner(out.fileno(), os.stat(path))
        out.write(text)


def _add(kind: str, text: str, ids: Sequence[str], opts: ExcuseOptions) -> str:
    """A new entry for each id."""
    if not opts.ticket and not opts.message:
        raise UsageError(f"mt {kind}: say why", hint="--ticket T or -m TEXT")
    until = last_day(opts.until)
    for word in dict.fromkeys(ids):
        pattern = _pattern(word, all_runs=opts.all_runs)
        if any((e.kind, e.pattern) == (kind, pattern) for e in entries_of(text)):
            raise UsageError(f"[{kind} {pattern}] is there already", hint=f"mt {kind} renew '{pattern}' --until DAY")
        entry = Entry(
            kind, pattern, opts.ticket or "", opts.owner or user(), until or "never", opts.message or "",
            opts.status or "", opts.comment or "", today_is(),
        )  # fmt: skip
        _tell(opts, f"{KINDS[kind][0]} {_end(until)}: {pattern}")
        text = with_entry(text, entry)
    return text


def _pattern(word: str, *, all_runs: bool) -> str:
    """An id as it is written into the file; a name of a run is pointed out, for the next run has another one."""
    pattern = " ".join(word.split())
    asked = parse_id(pattern)
    if asked.run is None:
        return pattern
    if all_runs:
        return str(asked._replace(run="%"))
    if not any(c in asked.run for c in "%*?["):
        say(f"only in the run '{asked.run}': {pattern} (--all-runs makes it all)")
    return pattern


def _remove(kind: str, text: str, ids: Sequence[str], opts: ExcuseOptions) -> str:
    """The entries with these ids go, or those that have expired."""
    chosen = _chosen(kind, text, ids, expired=opts.expired, allow_empty=opts.allow_empty)
    for entry in chosen:
        _tell(opts, f"removed: {entry.pattern}")
    return without(text, chosen)


def _renew(kind: str, text: str, ids: Sequence[str], opts: ExcuseOptions) -> str:
    """A new last day."""
    return _until(kind, text, ids, last_day(opts.until), opts)


def _expire(kind: str, text: str, ids: Sequence[str], opts: ExcuseOptions) -> str:
    """Yesterday was the last day."""
    from datetime import date, timedelta

    return _until(kind, text, ids, (date.fromisoformat(today_is()) - timedelta(days=1)).isoformat(), opts)


def _until(kind: str, text: str, ids: Sequence[str], until: str, opts: ExcuseOptions) -> str:
    count = len(_chosen(kind, text, ids, expired=False, allow_empty=opts.allow_empty))
    for number in range(count):  # each change moves the lines of those after it
        entry = _chosen(kind, text, ids, expired=False, allow_empty=False)[number]
        _tell(opts, f"{KINDS[kind][0]} {_end(until)}: {entry.pattern}")
        text = with_value(text, entry, "until", until or "never")
    return text


_CHANGES: dict[str, Callable[[str, str, Sequence[str], ExcuseOptions], str]] = {
    "add": _add,
    "remove": _remove,
    "renew": _renew,
    "expire": _expire,
}


def _chosen(kind: str, text: str, ids: Sequence[str], *, expired: bool, allow_empty: bool) -> list[Entry]:
    """Entries by their ids as written; raises NothingSelected for an id that no entry has."""
    mine = [e for e in entries_of(text) if e.kind == kind]
    unknown = [i for i in ids if i not in {e.pattern for e in mine}]
    if unknown and not allow_empty:
        raise NothingSelected(f"no entry [{kind} {unknown[0]}] in {FILE}", hint=f"mt {kind} list")
    found = [e for e in mine if e.pattern in ids or not ids]
    found = [e for e in found if not trouble(e) and e.is_over(today_is())] if expired else found
    if not found and not allow_empty:
        raise NothingSelected("no entry has expired", hint=f"mt {kind} list")
    return found


def last_day(text: str | None) -> str:
    """The last day that a text means, as YYYY-MM-DD; empty for never.  Raises UsageError."""
    from datetime import date, timedelta

    from mt.durations import read_duration

    today = date.fromisoformat(today_is())
    if text is None:
        return (today + timedelta(days=USUAL)).isoformat()
    if text == "never":
        return ""
    if is_date(text):
        if text < today.isoformat():
            raise UsageError(f"--until: {text} has passed")
        return text
    length = read_duration(text.removeprefix("+"))
    if not length.seconds or any("counts nothing" in doubt or "no unit" in doubt for doubt in length.doubts):
        raise UsageError(f"--until: '{text}' is no day", hint="as 2026-12-31, 2w or never")
    try:
        return (today + timedelta(days=-(-length.seconds // 86400))).isoformat()
    except OverflowError:
        raise UsageError(f"--until: '{text}' is too far away", hint="never") from None


def _end(until: str) -> str:
    return f"until {until}" if until else "without an end"


def _tell(opts: ExcuseOptions, text: str) -> None:
    if not opts.quiet:
        say(text)
