"""Failures that are known: who looks after them, under which ticket, and until when (spec/features.md B6).

`<area>/waivers.config` holds one section for each excuse, and may hold anything
else besides (spec/config.md T36), which is left alone:

    [waive ubuntu/%//%//diskperf/sda%]
    ticket  BUG-12
    owner   mary
    until   2026-12-31
    reason  the new kernel reports sizes in sectors
    status  FAIL
    comment %sectors%

    [quarantine soak]
    ticket  BUG-77

`waive` excuses a FAIL of the cases that the id names (with `status` other
verdicts, with `comment` only those with such a comment); `quarantine` whatever
bad verdict they have.  The last good day is `until`: afterwards nothing is
excused any more.  Values are taken as they stand.

Reading never fails: an excuse that cannot be understood excuses nothing, and
`problems` says why.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mt.config.lines import HEADER, PAIR
from mt.config.values import Problem
from mt.errors import UsageError, why
from mt.model import CaseKey, RunKey
from mt.patterns import TestPattern, glob_part
from mt.selectors import Glob, parse_id

FILE = "waivers.config"
#: kind -> (what a comment says of it, the verdicts that it excuses when the entry names none)
KINDS = {"waive": ("waived", ("FAIL",)), "quarantine": ("quarantined", ("FAIL", "ABORT", "DEAD"))}
KEYS = ("ticket", "owner", "until", "reason", "status", "comment", "added")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Entry(NamedTuple):
    """One section of the file; `first` and `last` are the numbers of its lines, from 1.

    `until` is YYYY-MM-DD, or empty for no end.
    """

    kind: str
    pattern: str
    ticket: str = ""
    owner: str = ""
    until: str = ""
    reason: str = ""
    status: str = ""
    comment: str = ""
    added: str = ""
    first: int = 0
    last: int = 0

    def is_over(self, today: str) -> bool:
        """Whether its last day has passed; `today` is YYYY-MM-DD."""
        return bool(self.until) and today > self.until

    def lines(self) -> str:
        """The section as it is written."""
        values = self._asdict()
        pairs = [(key, " ".join(values[key].split())) for key in KEYS]
        return f"[{self.kind} {self.pattern}]\n" + "".join(f"{key:<7} {value}\n" for key, value in pairs if value)


class Excuse(NamedTuple):
    """What becomes of a verdict that is excused, and by which entry."""

    status: str
    comment: str
    entry: Entry


class Excuses:
    """The entries of an area that can be understood."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = tuple(entries)
        self._rules: dict[Entry, Callable[[RunKey, CaseKey, str, str], bool]] = {}

    @classmethod
    def read(cls, home: str) -> Excuses:
        """Those of the area at `home`; none when there is no file or it cannot be read."""
        return cls(understood(text_of(home)))

    def of(self, run: RunKey, key: CaseKey, status: str, comment: str, today: str = "") -> Excuse | None:
        """What excuses a verdict today (YYYY-MM-DD), None when nothing does; the first entry that fits counts."""
        for entry in self.entries:
            if entry.is_over(today or today_is()) or not self._rule(entry)(run, key, status, comment):
                continue
            who = ", ".join(filter(None, (entry.ticket, entry.owner)))
            head = f"{KINDS[entry.kind][0]}{f' until {entry.until}' if entry.until else ''}{f' ({who})' if who else ''}"
            return Excuse("WAIVED", f"{head}: {comment or status}", entry)
        return None

    def _rule(self, entry: Entry) -> Callable[[RunKey, CaseKey, str, str], bool]:
        if entry not in self._rules:
            self._rules[entry] = rule_of(entry)
        return self._rules[entry]


def today_is() -> str:
    """The local date as YYYY-MM-DD."""
    return time.strftime("%Y-%m-%d")


def days_left(until: str, today: str) -> int | None:
    """Days from `today` to the last good day, negative when it has passed; None without an end."""
    if not until:
        return None
    from datetime import date

    return (date.fromisoformat(until) - date.fromisoformat(today)).days


def rule_of(entry: Entry) -> Callable[[RunKey, CaseKey, str, str], bool]:
    """Whether a run, a case, a status and a comment are meant by an entry; raises UsageError for a bad id."""
    asked = parse_id(entry.pattern)
    target, run = Glob(asked.target or "%"), Glob(asked.run or "%")
    cases = TestPattern.glob(asked.pattern)
    words = tuple(w.strip().upper() for w in entry.status.split(",") if w.strip()) or asked.words
    statuses = words or KINDS[entry.kind][1]
    says = glob_part(entry.comment or "%")

    def fits(of: RunKey, key: CaseKey, status: str, comment: str) -> bool:
        return (
            status in statuses
            and cases.matches(key.test, key.item)
            and target.matches(of.target)
            and run.matches(of.name)
            and bool(says(comment))
        )

    return fits


# -- reading


def text_of(home: str) -> str:
    """The text of an area's file; empty when there is none that can be read."""
    try:
        with open(os.path.join(home, FILE), encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError:
        return ""


class _Draft:
    """A section that is being read: what it says, and the line of each key."""

    def __init__(self, kind: str, pattern: str, line: int) -> None:
        self.kind, self.pattern = kind, pattern
        self.first = self.last = line
        self.values: dict[str, str] = {}
        self.places: dict[str, int] = {}
        self.strangers: dict[str, int] = {}
        self.key = ""

    def take(self, line: str, number: int) -> None:
        """One line within the section: a key with its value, or more of the value before it."""
        if not line.strip() or line.startswith("#"):
            return
        if line[0] in " \t" and self.key:
            self.values[self.key] += f" {line.strip()}"
        else:
            hit = PAIR.match(line.strip())
            assert hit is not None  # a line that is not blank has a word
            self.key = hit[1]
            self.values[self.key] = hit[3].strip()
            (self.places if self.key in KEYS else self.strangers)[self.key] = number
        self.last = number

    def entry(self) -> Entry:
        """What it says, as far as it is known."""
        known = {key: value for key, value in self.values.items() if key in KEYS}
        if known.get("until", "").lower() in ("never", "-"):
            known["until"] = ""
        return Entry(self.kind, self.pattern, first=self.first, last=self.last, **known)


def _drafts(text: str) -> Iterator[_Draft]:
    draft = None
    for number, line in enumerate(text.splitlines(), 1):
        header = HEADER.fullmatch(line)
        if header:
            if draft:
                yield draft
            kind, _, pattern = header[1].strip().partition(" ")
            draft = _Draft(kind, pattern.strip(), number) if kind in KINDS else None
        elif draft:
            draft.take(line, number)
    if draft:
        yield draft


def entries_of(text: str) -> list[Entry]:
    """All sections that are excuses, understood or not, in the order of the file."""
    return [draft.entry() for draft in _drafts(text)]


def understood(text: str) -> list[Entry]:
    """The entries that can be understood."""
    return [entry for entry in entries_of(text) if not trouble(entry)]


def trouble(entry: Entry) -> str:
    """Why an entry excuses nothing; empty when it does."""
    try:
        parse_id(entry.pattern)
    except UsageError:
        return f"[{entry.kind}] names no cases"
    if entry.until and not is_date(entry.until):
        return f"until: '{entry.until}' is no day as 2026-12-31"
    return ""


def is_date(text: str) -> bool:
    """Whether a text is a day of the calendar, as YYYY-MM-DD."""
    try:
        time.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return _DATE.fullmatch(text) is not None


def problems(home: str) -> list[Problem]:
    """What is wrong in an area's file, for `mt check`: excuses that excuse nothing, unknown keys, doubles."""
    path = os.path.join(home, FILE)
    try:
        os.stat(path)
        with open(path, encoding="utf-8"):
            pass
    except FileNotFoundError:
        return []
    except OSError as e:
        return [Problem(FILE, f"cannot be read: {why(e)}")]
    return list(problems_of(text_of(home)))


def problems_of(text: str) -> Iterator[Problem]:
    """The same for a text that stands in the file."""
    seen: set[tuple[str, str]] = set()
    for draft in _drafts(text):
        entry = draft.entry()
        bad = trouble(entry)
        if bad:
            line = draft.places["until"] if bad.startswith("until") else draft.first
            yield Problem(f"{FILE}:{line}", f"{bad}, so nothing is excused")
        for key, line in draft.strangers.items():
            yield Problem(f"{FILE}:{line}", f"unknown key '{key}'", "warning", "keys: " + ", ".join(KEYS))
        if (entry.kind, entry.pattern) in seen:
            said = f"[{entry.kind} {entry.pattern}] stands here a second time"
            yield Problem(f"{FILE}:{draft.first}", said, "warning", "the first one that has not expired counts")
        seen.add((entry.kind, entry.pattern))


# -- changing the text


def with_entry(text: str, entry: Entry) -> str:
    """The text with one more section at its end."""
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{entry.lines()}"


def without(text: str, gone: Iterable[Entry]) -> str:
    """The text without some of its sections, each with the blank line after it; all else stays as it is."""
    lines = text.splitlines(keepends=True)
    for entry in sorted(gone, key=lambda e: e.first, reverse=True):
        last = entry.last
        if last < len(lines) and not lines[last].strip():
            last += 1
        del lines[entry.first - 1 : last]
    return "".join(lines)


def with_value(text: str, entry: Entry, key: str, value: str) -> str:
    """The text with a key of one of its sections set anew."""
    lines = text.splitlines(keepends=True)
    new = f"{key:<7} {value}\n"
    if not lines[entry.last - 1].endswith("\n"):
        lines[entry.last - 1] += "\n"
    for number in range(entry.first, entry.last):
        if lines[number].split(None, 1)[:1] == [key] and lines[number][0] not in " \t#":
            lines[number] = new
            break
    else:
        lines.insert(entry.last, new)
    return "".join(lines)
