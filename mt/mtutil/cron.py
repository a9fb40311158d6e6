"""Cron lines: `minute hour day-of-month month day-of-week`, and the minutes at which they are due (spec/runs.md 1.8).

Fields are `*`, numbers, ranges `a-b`, steps `*/n` and `a-b/n`, and comma
lists of these; days of the week count from 0, Sunday, and 7 is Sunday too.
As in every cron, a day must fit both day fields, unless both are restricted
(neither begins with `*`): then it must fit one of them.

Pure: moments are local times without a zone, cut to the minute.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple

from mt.errors import MtError

#: name, smallest and greatest value of the five fields
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
#: no date that exists at all is further away than this: 29 February, around 2100
_FAR = 9 * 366
_PART = re.compile(r"(?:\*|(\d{1,4})(?:-(\d{1,4}))?)(?:/(\d{1,4}))?", re.ASCII)
_MINUTE = timedelta(minutes=1)


class CronError(MtError):
    """A cron line that says nothing."""


class Cron(NamedTuple):
    """When something is due: allowed values of each field, and whether one fitting day field is enough."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def fits_day(self, day: date) -> bool:
        """Whether it is due at all on that day."""
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (in_month or in_week) if self.either_day else (in_month and in_week)

    def fits(self, moment: datetime) -> bool:
        """Whether it is due in that minute."""
        return moment.minute in self.minutes and moment.hour in self.hours and self.fits_day(moment)

    def previous(self, moment: datetime) -> datetime | None:
        """The last due minute that had begun at `moment`; None when it is never due."""
        times = [(hour, minute) for hour in reversed(self.hours) for minute in reversed(self.minutes)]
        for back in range(_FAR):
            try:
                day = moment.date() - timedelta(days=back)
            except OverflowError:
                return None
            if self.fits_day(day):
                for hour, minute in times:
                    if back or (hour, minute) <= (moment.hour, moment.minute):
                        return datetime(day.year, day.month, day.day, hour, minute)
        return None

    def next(self, moment: datetime) -> datetime | None:
        """The first due minute that begins after the minute of `moment`; None when it is never due."""
        times = [(hour, minute) for hour in self.hours for minute in self.minutes]
        for ahead in range(_FAR):
            try:
                day = moment.date() + timedelta(days=ahead)
            except OverflowError:
                return None
            if self.fits_day(day):
                for hour, minute in times:
                    if ahead or (hour, minute) > (moment.hour, moment.minute):
                        return datetime(day.year, day.month, day.day, hour, minute)
        return None


def parse(text: str) -> Cron:
    """Read a cron line; raises CronError."""
    words = text.split()
    if len(words) != len(FIELDS):
        raise CronError(f"cron '{text}': five fields are needed, not {len(words)}")
    minutes, hours, days, months, weekdays = (_values(text, n, word) for n, word in enumerate(words))
    either = not words[2].startswith("*") and not words[4].startswith("*")
    return Cron(
        tuple(sorted(minutes)), tuple(sorted(hours)), frozenset(days), frozenset(months),
        frozenset(day % 7 for day in weekdays), either,
    )  # fmt: skip


def _values(text: str, field: int, word: str) -> set[int]:
    name, low, high = FIELDS[field]
    values: set[int] = set()
    for part in word.split(","):
        found = _PART.fullmatch(part)
        if found is None or (found[3] and not (found[2] or part.startswith("*"))):
            raise CronError(f"cron '{text}': '{part}' is no {name}")
        first = low if found[1] is None else int(found[1])
        last = high if found[1] is None else int(found[2] or first)
        step = int(found[3] or 1)
        if not (low <= first <= last <= high and step):
            raise CronError(f"cron '{text}': '{part}' is no {name}, these go from {low} to {high}")
        values.update(range(first, last + 1, step))
    return values


def last_due(cron: Cron, now: float) -> float | None:
    """The last due time in seconds since 1970, by this machine's zone; None when it is never due.

    In the hour that comes twice in autumn a line for every hour is due twice,
    any other once, at the first time.
    """
    here = datetime.fromtimestamp(now)
    due = cron.previous(here.replace(fold=0))
    if due is None:
        return None
    again = due.replace(fold=1).timestamp()
    if here.fold and len(cron.hours) == 24 and again <= now:
        return again
    return due.timestamp()
