"""Expected errors: one line each, and one exit status per class (DESIGN.md section 5).

An `MtError` is something a user can cause and mend.  `cli.main` prints it as
`mt: WHAT` and at most one hint line, and leaves with its `status`.  Anything
else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations


class MtError(Exception):
    """Something failed that a user can mend; `what` is one line, lower case, without a full stop.

    `where` is `file:line` when there is one and is printed in front; `hint` is
    the command or the change that helps.
    """

    status = 1

    def __init__(self, what: str, *, hint: str | None = None, where: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.where = where

    def lines(self) -> list[str]:
        """The text for stderr, without the leading program name."""
        first = f"{self.where}: {self.what}" if self.where else self.what
        first = " ".join(first.splitlines())
        return [first, f"hint: {self.hint}"] if self.hint else [first]


class AnswerNo(MtError):
    """The answer is no: nothing is broken, but the thing asked for is not so."""

    status = 1


class UsageError(MtError):
    """The command line cannot be understood."""

    status = 2


class ConfigError(MtError):
    """An area's files say something that cannot be done."""

    status = 3


class BusyError(MtError):
    """Somebody else holds what is needed."""

    status = 4


class StoreError(MtError):
    """A database, journal or directory of the store cannot be used."""

    status = 5


class LaunchError(MtError):
    """A job or a server cannot be started."""

    status = 6


class NothingSelected(MtError):
    """No case, run or file matches what was asked for."""

    status = 7


class Unfinished(MtError):
    """No failure, but lost, infrastructure or blocked cases remain."""

    status = 8


class NotPermitted(MtError):
    """The file system or the area's rules forbid it."""

    status = 9


def why(error: OSError) -> str:
    """The reason of an OSError in words: `no such file or directory`."""
    return (error.strerror or str(error)).lower()
