"""Cancel jobs of a fleet: all of one place with as few calls as possible, without waiting long for the answer.

Who cannot be reached is told again later.  A command that hangs goes on in the
background, so that nobody else waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from mt.errors import MtError
from mt.launchers import engine
from mt.launchers.calling import Answer, Asking, explain, trouble_of
from mt.pipeline.absences import Place
from mt.pipeline.submitting import Submitting
from mt.pipeline.yard import Ending

#: seconds: how long a command that cancels may take, and how long we wait for it when somebody is impatient: it goes
#: on, and what it ends has been told in its bag as well
_CANCEL, _HASTE, _MOMENT = 30.0, 2.0, 0.3


class Cancelling(Submitting):
    """A fleet that can end its jobs."""

    def cancel_owed(self, *, at_once: bool = False, last: bool = False) -> None:
        """Cancel what is owed; `at_once` waits for the answers, `last` is when nobody will try again."""
        deadline = time.monotonic() + ((_HASTE if self.urgency() else _CANCEL) if at_once else _MOMENT)
        for _ in range(1 + at_once):  # a second time for what came to be owed while an older command hung
            older = set(self.ending)
            for place in [place for place in self.owed if place not in self.ending]:
                if at_once or not self.absences.away(place):
                    self._tell_to_end(place, last=last)
            for place, ending in list(self.ending.items()):
                wait = 0.0 if place in older and not at_once else max(deadline - time.monotonic(), 0.0)
                answers = ending.asking.wait(wait, self._is_enough)
                if answers is not None:
                    del self.ending[place]
                    self._heard(place, ending.jobs, answers, last=last)

    def _is_enough(self) -> bool:
        return self.urgency() > 2

    def _tell_to_end(self, place: Place, *, last: bool) -> None:
        """Start the commands that cancel all that is owed at a place."""
        made, jobs = engine(place.engine), list(dict.fromkeys(self.owed.pop(place)))
        for lot in self.lots:
            if lot.engine.name == place.engine and (ours := set(lot.roots()).intersection(jobs)):
                lot.note("cancelled", jobs=sorted(ours))
        try:
            self.ending[place] = Ending(jobs, Asking(made.cancel(jobs), seconds=_CANCEL, env=self.env))
        except MtError as e:
            self._missed(place, jobs, e.what, last=last)

    def _heard(self, place: Place, jobs: list[str], answers: Sequence[Answer], *, last: bool) -> None:
        """Take the answers; jobs that may not have been told to end are owed still."""
        made = engine(place.engine)
        bad = next((a for a in answers if a.status and (t := trouble_of(made, a)) and t.passing), None)
        if bad is not None:
            self._missed(place, jobs, explain(made, bad), last=last)

    def _missed(self, place: Place, jobs: list[str], why: str, *, last: bool) -> None:
        self.owed.setdefault(place, []).extend(jobs)
        self.absences.missed(place)
        self.tell(f"{place} could not be told to end the jobs: {why}; {'see mt jobs' if last else 'trying again'}")
