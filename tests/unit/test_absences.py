"""Who could not be reached is left alone for a while, and nobody else is."""

from __future__ import annotations

from mt.pipeline.absences import FIRST, LONGEST, Absences, Place, places


class Clock:
    """A clock that is turned by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_host_that_is_away_is_left_alone_and_others_are_not() -> None:
    clock = Clock()
    known = Absences(clock)
    a, b = places("ssh", (("a", 2), ("b", 1)))
    known.missed(a)
    assert known.away(a) and not known.away(b) and not known.away(Place("lsf"))
    known.missed(b)
    assert known.away(b)
    clock.now += FIRST
    assert not known.away(a)


def test_the_pause_doubles_up_to_the_longest_and_begins_anew_when_it_was_there() -> None:
    clock = Clock()
    known, place, pauses = Absences(clock), Place("lsf"), []
    for _ in range(8):
        known.missed(place)
        begin = clock.now
        while known.away(place):
            clock.now += 1
        pauses.append(clock.now - begin)
    assert pauses == [1, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]
    known.missed(place)
    known.found(place)
    assert not known.away(place)
    known.missed(place)
    clock.now += FIRST
    assert not known.away(place)


def test_an_engine_without_hosts_is_one_place() -> None:
    assert places("lsf", ()) == [Place("lsf")]
    assert (str(Place("lsf")), str(Place("ssh", "a"))) == ("lsf", "ssh on a")
