"""The pure parts of mtutil: packets, access, rules, commands (spec/runs.md 1.8)."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from mt.errors import MtError
from mt.mtutil import access, commands, cron, main, packets, pairs, rules, usage, words
from mt.mtutil.drawing import dot
from mt.mtutil.listen import address
from mt.mtutil.schema import schema
from mt.mtutil.store import Known

# -- packets


def test_a_packet_is_sorted_cards_and_their_hash() -> None:
    """spec/runs.md 1.8 packets"""
    packet = packets.make([("t", "ubuntu/nfs"), ("A", "run"), ("U", "ann"), ("M", "why not\nnow \\o/")])
    body = "A run\nM why\\snot\\nnow\\s\\\\o/\nU ann\nt ubuntu/nfs"
    assert packet.id == hashlib.sha1(body.encode()).hexdigest()
    assert packets.text_of(packet).decode() == f"{body}\nZ {packet.id}\n"
    assert packet.get("M") == "why not\nnow \\o/"


@pytest.mark.parametrize("hashed_newline", [False, True])
@pytest.mark.parametrize("end", ["", "\n"])
def test_both_customs_of_hashing_are_taken(hashed_newline: bool, end: str) -> None:
    body = "A run\nT cmd"
    summed = hashlib.sha1((body + "\n" * hashed_newline).encode()).hexdigest()
    packet = packets.parse(f"{body}\nZ {summed}{end}".encode())
    assert packet == packets.Packet(summed, (("A", "run"), ("T", "cmd")))


@pytest.mark.parametrize(
    ("data", "why", "is_partial"),
    [
        (b"", "no checksum", True),
        (b"A run\nT cm", "no checksum", True),
        (b"A run\nZ 0123", "no SHA-1", True),
        (b"A run\nZ " + b"0" * 40, "not that of its cards", False),
        (b"A run\nZ " + b"g" * 40, "no SHA-1", False),
        (b"A run\nZ " + b"0" * 40 + b"\nB x\n", "no checksum", False),
        (b"A r\0n\nZ " + b"0" * 40, "not a text", False),
        (b"A" * packets.LIMIT, "larger", False),
    ],
)
def test_what_is_no_packet_is_told_with_its_reason(data: bytes, why: str, is_partial: bool) -> None:
    with pytest.raises(packets.PacketError, match=why) as error:
        packets.parse(data)
    assert error.value.is_partial is is_partial


def test_a_line_that_is_no_card_makes_no_packet() -> None:
    body = b"A run\nnot a card"
    with pytest.raises(packets.PacketError, match="not a card"):
        packets.parse(body + b"\nZ " + hashlib.sha1(body).hexdigest().encode())


@pytest.mark.parametrize("card", [("Z", "x"), ("?", "x"), ("A", "a\0b"), ("M", "x" * packets.LIMIT)])
def test_no_packet_is_made_that_nobody_would_take(card: tuple[str, str]) -> None:
    with pytest.raises(packets.PacketError):
        packets.make([card])


@pytest.mark.parametrize(
    ("text", "time"), [("12", 12.0), ("12.5", 12.5), ("x", 0), ("", 0), ("-1", 0), ("9" * 99, 0), ("nan", 0)]
)
def test_the_time_of_a_packet_is_a_number_whatever_it_says(text: str, time: float) -> None:
    assert packets.make([("D", text)]).time == time


# -- pairs and access


def test_pairs_are_cut_at_semicolons_and_first_equal_signs() -> None:
    said = pairs.read("areas = a, b ;selector=x=y/Q; bare ;; empty=")
    assert said.items == (("areas", "a, b"), ("selector", "x=y/Q"), ("bare", None), ("empty", ""))
    assert said.names("areas") == ("a", "b")
    assert said.names("none") is None
    assert said.get("empty") is None


TYPES = {"all": "run remove", "look": "list"}


@pytest.mark.parametrize(
    ("rules_", "user", "action", "area", "is_granted"),
    [
        (None, "ann", "run", "x", True),
        ({}, "ann", "run", "x", False),
        ({"x": "ann:all"}, "ann", "run", "x", True),
        ({"x": "ann:all"}, "ann", "list", "x", False),
        ({"x": "ann:all"}, "ann", "run", "y", False),
        ({"x": "ann:all"}, "bob", "run", "x", False),
        ({"x": "ann:all *:look"}, "bob", "list", "x", True),
        ({"x": "*:look ann:all"}, "ann", "run", "x", True),
        ({"x": "ann:look *:all"}, "ann", "run", "x", False),
        ({"x": "ann:unknown"}, "ann", "run", "x", False),
        ({"x": "ann"}, "ann", "run", "x", False),
        ({"x": ""}, "ann", "run", "x", False),
    ],
)
def test_what_is_not_granted_is_denied(
    rules_: dict[str, str] | None, user: str, action: str, area: str, is_granted: bool
) -> None:
    """spec/runs.md 1.8 [access]: no section grants everything; listed without the user and without * is denied [D]"""
    assert access.granted(rules_, TYPES, user=user, action=action, area=area) is is_granted


# -- words


def test_options_are_cards_and_later_values_win() -> None:
    args = words.read(["run", "-area", "a", "-target", "-area", "-area", "b", "-preclean", "-testpatt", "x", "odd"])
    assert (args.action, args.rest) == ("run", ("odd",))
    assert sorted(args.cards()) == [("G", "b"), ("p", "x"), ("r", "yes"), ("t", "-area")]


def test_an_option_that_lacks_its_value_is_told() -> None:
    with pytest.raises(MtError, match="-target needs a value"):
        words.read(["run", "-target"])


# -- commands


def command(*cards: tuple[str, str]) -> list[str]:
    return commands.words_for(packets.make(cards))


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ("A run/t a/n r/p x%", "-run -preclean -rerun-all -target a -runname r -testpatt x%"),
        ("A run/r yes/u yes", "-run -preclean -rerun-all"),
        ("A run/o Q/x fast/c quick/w yes", "-run -preclean -rerun-all -modepatt Q -tagexpr fast -contour quick"
         " -prepend-contour"),
        ("A remove/n r/p %/e COMPLETED/s FAIL", "-remove-runs -runname r -testpatt % -state COMPLETED -status FAIL"),
        ("A set-ss/l COMPLETED,PASS/p %", "-set-state-status COMPLETED,PASS -testpatt %"),
        ("A archive/n r", "-archive save -runname r"),
        ("A archive/l restore", "-archive restore"),
        ("A sync/k db", "-sync-to db"),
        ("A rerun/n r", "-run -rerun FAIL,ABORT,CHECK,DEAD,INCOMPLETE,KILLED,PREQ_FAIL,PREQ_DISCARDED -runname r"),
        ("A rerun/s FAIL,CHECK/p a", "-run -rerun FAIL,CHECK -testpatt a"),
        ("A kill/n r", "-set-state-status KILLREQ,n/a -runname r -testpatt % -state RUNNING,LAUNCHED,REMOTEHOSTSTART"),
        ("A kill/p a/e LAUNCHED", "-set-state-status KILLREQ,n/a -testpatt a -state LAUNCHED"),
        ("A list/t a", "-list-runs % -target a"),
        ("A list/n r", "-list-runs r"),
        ("A run/d more.config/h other.config/v A=1/i it/k db", "-run -preclean -rerun-all -itempatt it -sync-to db"
         " -setvars A=1 -config other.config -append-config more.config"),
    ],
)  # fmt: skip
def test_each_action_is_one_command_of_megatest(cards: str, expected: str) -> None:
    """spec/runs.md 1.8 dispatch; rerun, kill and list did nothing [D]"""
    split = [(card[0], card[2:].replace("|", "/")) for card in cards.split("/")]
    assert command(*split) == expected.split()


def test_a_status_may_hold_a_slash() -> None:
    assert command(("A", "set-ss"), ("l", "NOT_STARTED/n/a")) == ["-set-state-status", "NOT_STARTED,n/a"]
    assert command(("A", "set-ss"), ("l", "NOT_STARTED,n/a")) == ["-set-state-status", "NOT_STARTED,n/a"]


def test_values_stay_one_word_whatever_is_in_them() -> None:
    made = command(("A", "run"), ("t", "$(rm -rf x); -remove-runs"), ("n", "-remove-runs"))
    assert made[-4:] == ["-target", "$(rm -rf x); -remove-runs", "-runname", "-remove-runs"]


@pytest.mark.parametrize("cards", [[("A", "boom")], [], [("A", "set-ss")], [("A", "archive"), ("l", "all")]])
def test_what_has_no_meaning_is_refused(cards: list[tuple[str, str]]) -> None:
    with pytest.raises(MtError):
        command(*cards)


# -- rules


def test_keys_with_colons_are_rules_and_others_are_run_variables() -> None:
    """spec/runs.md 1.8 runkey rules"""
    found = list(rules.find({"a/b": [("VAR", "1"), ("quick:scheduled:run:nightly", "cron=0 1 * * *;run-name=auto")]}))
    assert found == [
        rules.Rule("a/b", "quick:scheduled:run:nightly", "quick", "scheduled", "run",
                   pairs.read("cron=0 1 * * *;run-name=auto"))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("quick:scheduled", "CONTOUR:RULETYPE:ACTION"),
        ("quick:scheduled:run:a:b", "CONTOUR:RULETYPE:ACTION"),
        ("quick:sometimes:run", "'sometimes' is no type of rule"),
        ("quick:script:jump", "'jump' is no action"),
    ],
)
def test_what_looks_like_a_rule_and_is_none_is_told(key: str, why: str) -> None:
    (error,) = rules.find({"a/b": [(key, "")]})
    assert isinstance(error, MtError)
    assert why in error.what and f"[a/b] {key}" in error.what


def test_settings_of_a_rule_are_no_scripts() -> None:
    (rule,) = rules.find({"a": [("q:script:run", "one.sh=a b;two.sh;test-patt=x%;target=c;areas=z")]})
    assert isinstance(rule, rules.Rule)
    assert rule.inputs() == [("one.sh", "a b"), ("two.sh", "")]
    assert rule.cards() == [("p", "x%")]


def test_the_page_names_every_action_and_option() -> None:
    page = (Path(__file__).resolve().parents[2] / "man" / "mtutil.1").read_text(encoding="utf-8").replace("\\-", "-")
    silent = {"-load", "-repl"}
    names = [*main.ACTIONS, *words.VALUES, *words.FLAGS, *words.HELP[:1]]
    assert [name for name in names if not re.search(rf"\B{name}\b|\b{name}\b", page) and name not in silent] == []
    assert [name for name in names if name not in usage.TEXT and name not in {*silent, "-debug", "-immediate",
            "-manual", "-version"}] == []  # fmt: skip


# -- cron


@pytest.mark.parametrize(
    ("line", "now", "before", "after"),
    [
        ("0 */3 * * *", "2026-03-04 02:59", "2026-03-04 00:00", "2026-03-04 03:00"),
        ("0 */3 * * *", "2026-03-04 03:00", "2026-03-04 03:00", "2026-03-04 06:00"),
        ("30 1 * * *", "2026-01-01 00:00", "2025-12-31 01:30", "2026-01-01 01:30"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2024-02-29 00:00", "2028-02-29 00:00"),
        ("0 0 29 2 *", "2097-01-01 00:00", "2096-02-29 00:00", "2104-02-29 00:00"),
        ("0 0 * * 0", "2026-11-24 12:00", "2026-11-22 00:00", "2026-11-29 00:00"),
        ("0 0 * * 7", "2026-11-24 12:00", "2026-11-22 00:00", "2026-11-29 00:00"),
        ("0 0 13 * 5", "2026-11-24 12:00", "2026-11-20 00:00", "2026-11-27 00:00"),
        ("0 0 13 * *", "2026-11-24 12:00", "2026-11-13 00:00", "2026-12-13 00:00"),
        ("0 0 */2 * 1", "2026-11-24 12:00", "2026-11-23 00:00", "2026-12-07 00:00"),
        ("5,10-20/5 8-9 * * 1-5", "2026-11-24 09:12", "2026-11-24 09:10", "2026-11-24 09:15"),
    ],
)
def test_the_due_times_around_a_moment(line: str, now: str, before: str, after: str) -> None:
    """spec/runs.md 1.8 scheduled: five fields"""
    moment, found = datetime.fromisoformat(now), cron.parse(line)
    assert found.previous(moment) == datetime.fromisoformat(before)
    assert found.next(moment) == datetime.fromisoformat(after)


def test_a_date_that_never_comes_is_never_due() -> None:
    found = cron.parse("0 0 31 2 *")
    assert found.previous(datetime(2026, 1, 1)) is None
    assert found.next(datetime(2026, 1, 1)) is None
    assert cron.last_due(found, 1_700_000_000) is None
    assert found.next(datetime(9999, 12, 31)) is None


@pytest.mark.parametrize(
    "line",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
     "*/0 * * * *", "5-1 * * * *", "1/2 * * * *", ", * * * *", "1- * * * *", "-1 * * * *", "*/ * * * *", "² * * * *"],
)  # fmt: skip
def test_a_bad_cron_line_is_one_clear_line(line: str) -> None:
    with pytest.raises(cron.CronError, match="cron"):
        cron.parse(line)


# -- the rest


def test_the_graph_has_an_edge_from_a_command_to_its_answer() -> None:
    """spec/runs.md 1.8 gendot"""
    asked = Known("a" * 40, "cmd", "run", 0.0, 'a"nn', "", "x")
    answer = Known("b" * 40, "runstart", "run", 0.0, "bob", "a" * 40, "x")
    text = dot([asked, answer])
    assert f'  "{"a" * 40}" -> "{"b" * 40}";' in text.splitlines()
    assert 'a\\"nn' in text


def test_the_schema_makes_the_tables_of_old() -> None:
    """spec/runs.md 6.1, 1.8 db sqlite3schema"""
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(schema("sqlite3", ["SYSTEM", "my key"]))
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert names == set(
            "keys runs run_stats tests test_steps test_data test_rundat test_meta metadat tasks_queue archive_disks"
            " archive_blocks archive_allocations archives extradat access_log".split()
        )
        assert {"SYSTEM", "my key", "runname", "contour"} <= {row[1] for row in db.execute("PRAGMA table_info(runs)")}
        db.execute("INSERT INTO tests (run_id, testname) VALUES (1, 'a')")
        row = db.execute("SELECT host, cpuload, rundir, state, status, final_logf, item_path FROM tests").fetchone()
        assert row == ("n/a", -1, "/tmp/badname", "NOT_STARTED", "n/a", "logs/final.log", "")
        with pytest.raises(sqlite3.IntegrityError):
            db.execute("INSERT INTO tests (run_id, testname) VALUES (1, 'a')")
        db.execute("INSERT INTO runs (runname, SYSTEM) VALUES ('r', 'a')")
        db.execute("INSERT INTO runs (runname, SYSTEM) VALUES ('r', 'b')")
    finally:
        db.close()


def test_the_schema_for_postgresql_has_the_same_tables_in_its_own_types() -> None:
    """spec/runs.md 1.8 db pgschema"""
    text = schema("pg")
    assert text.count("CREATE TABLE") == schema("sqlite3").count("CREATE TABLE") == 16
    assert "id SERIAL PRIMARY KEY" in text and "strftime" not in text


@pytest.mark.parametrize(("text", "expected"), [("h:1", ("h", 1)), ("9", ("", 9)), ("[::1]:5", ("::1", 5))])
def test_a_listener_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert address(text) == expected


@pytest.mark.parametrize("text", ["", "h", "h:", "h:x", "h:65536", "h:-1"])
def test_what_is_no_listener_is_told(text: str) -> None:
    with pytest.raises(MtError, match="HOST:PORT"):
        address(text)
