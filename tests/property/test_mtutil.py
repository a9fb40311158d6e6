"""Packets and cron lines: what always holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from mt.mtutil import cron, packets

LETTERS = sorted(set(packets.LETTERS) - {"Z"})
values = st.text(max_size=40).map(lambda s: s.replace("\0", ""))
odd_values = st.binary(max_size=40).map(lambda b: b.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
texts = st.one_of(
    st.text(alphabet="\\ snrt\n\t\r", max_size=30),
    odd_values,
    values.filter(lambda s: not any("\ud800" <= c < "\ue000" for c in s)),
)
cards = st.lists(st.tuples(st.sampled_from(LETTERS), texts), max_size=8)


@given(texts)
def test_escaping_can_be_undone_and_leaves_no_blank(value: str) -> None:
    text = packets.escape(value)
    assert packets.unescape(text) == value
    assert not set(text) & set(" \n\t\r")


@given(cards.filter(bool))
def test_a_packet_is_read_as_it_was_made(given_cards: list[tuple[str, str]]) -> None:
    packet = packets.make(given_cards)
    assert packets.parse(packets.text_of(packet)) == packet
    assert sorted(packet.cards) == sorted(given_cards)


@given(cards.filter(bool), st.randoms())
def test_the_order_in_which_cards_are_given_does_not_count(given_cards: list[tuple[str, str]], random: object) -> None:
    mixed = list(given_cards)
    random.shuffle(mixed)  # type: ignore[attr-defined] # hypothesis's own Random
    assert packets.make(mixed) == packets.make(given_cards)


@given(cards.filter(bool), st.data())
def test_a_packet_with_a_changed_byte_is_none_or_the_same(
    given_cards: list[tuple[str, str]], data: st.DataObject
) -> None:
    text = packets.text_of(packets.make(given_cards))
    at = data.draw(st.integers(0, len(text) - 42))
    changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
    try:
        packets.parse(changed)
    except packets.PacketError:
        return
    raise AssertionError("a changed packet was taken")


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    try:
        packets.parse(data)
    except packets.PacketError:
        pass


def part(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A part of a field, and the values that it allows, found the plain way."""
    number = st.integers(low, high)
    single = number.map(lambda n: (str(n), frozenset((n,))))
    spans = st.tuples(number, number).map(sorted)
    ranges = spans.map(lambda s: (f"{s[0]}-{s[1]}", frozenset(range(s[0], s[1] + 1))))
    steps = st.integers(1, 40)
    stepped = st.tuples(spans, steps).map(
        lambda p: (
            f"{p[0][0]}-{p[0][1]}/{p[1]}",
            frozenset(n for n in range(p[0][0], p[0][1] + 1) if (n - p[0][0]) % p[1] == 0),
        )
    )
    every = steps.map(lambda n: (f"*/{n}", frozenset(v for v in range(low, high + 1) if (v - low) % n == 0)))
    return st.one_of(st.just(("*", frozenset(range(low, high + 1)))), single, ranges, stepped, every)


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    return st.lists(part(low, high), min_size=1, max_size=3).map(
        lambda parts: (",".join(p[0] for p in parts), frozenset().union(*(p[1] for p in parts)))
    )


fields = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2080, 1, 1))


def naive(parts: tuple[tuple[str, frozenset[int]], ...], moment: datetime) -> bool:
    """Whether a minute fits, by the sentence of the manual."""
    minutes, hours, days, months, weekdays = (p[1] for p in parts)
    in_month, in_week = moment.day in days, (moment.weekday() + 1) % 7 in weekdays
    free = parts[2][0].startswith("*") or parts[4][0].startswith("*")
    return (
        moment.minute in minutes
        and moment.hour in hours
        and moment.month in months
        and ((in_month and in_week) if free else (in_month or in_week))
    )


@given(fields, moments)
def test_a_minute_fits_as_the_manual_says(parts: tuple[tuple[str, frozenset[int]], ...], moment: datetime) -> None:
    assert cron.parse(" ".join(p[0] for p in parts)).fits(moment) == naive(parts, moment)


@given(fields, moments)
def test_due_times_fit_and_nothing_is_due_between_them(
    parts: tuple[tuple[str, frozenset[int]], ...], moment: datetime
) -> None:
    found = cron.parse(" ".join(p[0] for p in parts))
    before, after = found.previous(moment), found.next(moment)
    assume(before is not None and after is not None)
    assert before is not None and after is not None
    assert before <= moment < after
    assert naive(parts, before) and naive(parts, after)
    assert found.next(before) == after
    assert found.previous(after) == after
    assert found.previous(after - timedelta(minutes=1)) == before
    minute = before + timedelta(minutes=1)
    for _ in range(3000):
        if minute >= after:
            break
        assert not naive(parts, minute)
        minute += timedelta(minutes=1)


@given(fields, st.integers(0, 3_000_000_000))
def test_the_last_due_time_is_never_in_the_future(parts: tuple[tuple[str, frozenset[int]], ...], now: int) -> None:
    due = cron.last_due(cron.parse(" ".join(p[0] for p in parts)), now)
    assert due is None or due <= now
