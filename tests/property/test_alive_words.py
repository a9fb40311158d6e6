"""What is said of a worker follows from what locks tell, and nobody is called dead without proof."""

from __future__ import annotations

import os
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from mt.journal import host_name
from mt.locks.alive import FREE, HELD, MISSING, UNTOLD
from mt.model import CaseRow
from mt.pipeline import history
from mt.pipeline.history import Alive

SAFE = "abcXYZ019._"
HOSTS = st.text(SAFE + "-", min_size=1, max_size=12) | st.just(host_name())
WRITERS = st.tuples(HOSTS, st.integers(1, 1 << 22), st.text("0123456789abcdef", min_size=1, max_size=9))
WORDS = st.sampled_from([HELD, FREE, MISSING, UNTOLD])
DIRECTORY = "/journals"


def seeing(found: dict[str, str]) -> mock._patch_dict:
    """A directory with these journals, {name: what its lock tells}, as `history` sees it."""
    by_path = {os.path.join(DIRECTORY, f"{name}.ndjson"): word for name, word in found.items()}
    os_seen = mock.Mock(wraps=os, path=os.path, listdir=lambda _: [os.path.basename(path) for path in by_path])
    return mock.patch.dict(vars(history), look=lambda path: by_path.get(path, MISSING), os=os_seen)


def row(host: str, pid: int) -> CaseRow:
    """A case that a worker runs."""
    return CaseRow("t", "", 1, 3, "RUNNING", "n/a", host, pid)


@given(WRITERS, WORDS, st.booleans())
def test_a_worker_of_another_host_is_dead_only_by_a_lock_that_tells(
    who: tuple[str, int, str], word: str, locks: bool
) -> None:
    host, pid, token = f"{who[0]}.far", who[1], who[2]
    with seeing({f"{host}-{pid}-{token}": word}):
        said = Alive(DIRECTORY, locks=locks).writer(f"{host}-{pid}-{token}").word
    if word == MISSING:
        assert said == "missing"
    elif not locks or word == UNTOLD:
        assert said == "silent"
    else:
        assert said == {HELD: "alive", FREE: "dead"}[word]


@given(WRITERS, WORDS, st.booleans())
def test_row_and_name_are_judged_alike_where_the_journal_is_seen(
    who: tuple[str, int, str], word: str, locks: bool
) -> None:
    name = f"{who[0]}-{who[1]}-{who[2]}"
    with seeing({name: word}):
        eyes = Alive(DIRECTORY, locks=locks)
        by_row, by_name = eyes.judge(row(who[0], who[1])), eyes.writer(name)
    assert by_row == by_name or by_name.word == "missing"
    assert by_row.word != "missing"


@given(WRITERS, WORDS)
def test_of_a_process_of_this_host_the_answer_is_never_silent(who: tuple[str, int, str], word: str) -> None:
    name = f"{host_name()}-{who[1]}-{who[2]}"
    for locks in (True, False):
        with seeing({name: word}):
            said = Alive(DIRECTORY, locks=locks).judge(row(host_name(), who[1])).word
        assert said in ("alive", "dead")
        assert said == "alive" or word != HELD


@given(st.lists(st.tuples(WRITERS, WORDS), max_size=8, unique_by=lambda one: one[0]), st.booleans())
def test_one_held_journal_of_several_is_enough(found: list[tuple[tuple[str, int, str], str]], locks: bool) -> None:
    with seeing({"-".join(map(str, who)): word for who, word in found}):
        eyes = Alive(DIRECTORY, locks=locks)
        for (host, pid, _), word in found:
            if word == HELD and (locks or host == host_name()):
                assert eyes.judge(row(host, pid)).word == "alive"


@given(st.lists(WRITERS, max_size=8, unique=True))
def test_every_worker_is_given_its_own_journals(found: list[tuple[str, int, str]]) -> None:
    with seeing({"-".join(map(str, who)): FREE for who in found}):
        eyes = Alive(DIRECTORY)
        for host, pid, _ in found:
            mine = {os.path.join(DIRECTORY, f"{h}-{p}-{t}.ndjson") for h, p, t in found if (h, p) == (host, pid)}
            assert set(eyes.journals(row(host, pid))) == mine


@given(st.text(max_size=20))
def test_a_name_that_no_writer_has_is_no_error(name: str) -> None:
    with seeing({name: FREE}):
        assert Alive(DIRECTORY, locks=False).writer(name).word in ("dead", "silent", "alive")
        assert Alive(DIRECTORY).judge(row("h", 7)).word == "dead" or name.startswith("h-7-")
