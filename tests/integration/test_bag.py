"""A bag of orders: claims have one winner, what is appended is read, a torn line is no order."""

from __future__ import annotations

import builtins
import os
import stat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from mt.errors import StoreError
from mt.pipeline.bag import Bag, Claim, Entry, Reader, Terms, bags_left, order_of, tidy_over, token_of


def _terms(**more: object) -> Terms:
    usual = {
        "home": "/a", "target": "x", "run": "r", "run_id": 1, "contour": "", "old": False, "env": {"A": "\udce9"},
        "setvars": [], "engine": "slurm", "way": "pilot",
    }  # fmt: skip
    return Terms(**{**usual, **more})  # type: ignore[arg-type]


@pytest.fixture
def bag(tmp_path: Path) -> Bag:
    return Bag.make(str(tmp_path / "batch"), "b1", _terms())


def _entry(test: str) -> Entry:
    return Entry([0, test, "", [], 1, 1, True], 0.0, 0.0)


def test_what_a_bag_was_made_with_can_be_read(bag: Bag) -> None:
    assert Bag(bag.path).terms() == _terms()


def test_only_its_owner_reads_the_environment_in_it(bag: Bag) -> None:
    assert stat.S_IMODE(os.stat(os.path.join(bag.path, "bag.json")).st_mode) == 0o600


def test_a_bag_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot read '.*/none/bag.json': no such file or directory"):
        Bag(str(tmp_path / "none")).terms()


def test_a_bag_that_was_not_made_whole_is_one_clear_line(bag: Bag) -> None:
    Path(bag.path, "bag.json").write_text('{"home": ', encoding="utf-8")
    with pytest.raises(StoreError, match="it was not written whole"):
        bag.terms()


def test_orders_are_read_as_they_come(bag: Bag) -> None:
    reader = Reader(bag)
    assert not reader.look()
    assert list(bag.add([_entry("a"), _entry("b")])) == [0, 1]
    assert reader.look()
    assert list(bag.add([_entry("c")])) == [2]
    bag.say([{"closed": True}, {"revoke": 1}])
    assert reader.look()
    assert [entry.order[1] for entry in reader.entries.values()] == ["a", "b", "c"]
    assert (reader.closed, reader.stopped, reader.revoked) == (True, "", {1})


def test_a_torn_line_is_no_order_and_hides_none(bag: Bag) -> None:
    reader = Reader(bag)
    path = Path(bag.path, "orders.ndjson")
    bag.add([_entry("a")])
    with path.open("ab") as f:
        f.write(b'{"o":[[1,"lost"')
    assert reader.look()
    assert len(reader.entries) == 1
    bag.add([_entry("b")])
    reader.look()
    assert [entry.order[1] for entry in reader.entries.values()] == ["a", "b"]


def _claim_all(path: str, who: int, wins: str) -> None:
    bag = Bag(path)
    mine = [n for n in range(300) if bag.claim(n, Claim(f"j{who}", "h", who, "w"))]
    Path(wins).write_text(" ".join(map(str, mine)), encoding="utf-8")


def test_each_order_has_one_claimer_however_many_try(bag: Bag, tmp_path: Path) -> None:
    made = get_context("fork")
    files = [str(tmp_path / f"wins{n}") for n in range(4)]
    crowd = [made.Process(target=_claim_all, args=(bag.path, n, files[n])) for n in range(4)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join(30)
    won = [int(n) for file in files for n in Path(file).read_text(encoding="utf-8").split()]
    assert sorted(won) == list(range(300))
    assert bag.taken() == set(range(300))


def test_a_claim_says_whose_it_is(bag: Bag) -> None:
    claim = Claim("slurm:7", "n1", 4711, "n1-4711-ab")
    assert bag.claim(0, claim)
    assert bag.claimed(0) == claim
    assert bag.claimed(1) is None


def test_a_claimer_that_died_at_once_leaves_a_claim_of_nobody(bag: Bag) -> None:
    Path(bag.path, "claims", "0").touch()
    assert bag.claimed(0) == Claim("", "", 0, "?")


def test_an_order_that_is_withdrawn_is_nobodys(bag: Bag) -> None:
    assert bag.withdraw(0)
    assert not bag.claim(0, Claim("slurm:7", "n1", 4711, "w"))
    assert bag.claim(1, Claim("slurm:7", "n1", 4711, "w"))
    assert not bag.withdraw(1)


def test_who_comes_after_all_have_ended_finds_nothing_to_claim(bag: Bag) -> None:
    bag.add([_entry("a")])
    bag.claim(0, Claim("slurm:7", "n1", 4711, "w"))
    Path(bag.out, "empty.out").touch()
    Path(bag.out, "said.out").write_text("x", encoding="utf-8")
    bag.tidy()
    reader = Reader(bag)
    reader.look()
    assert reader.over
    assert sorted(os.listdir(bag.path)) == ["bag.json", "jobs.ndjson", "orders.ndjson", "out"]
    assert os.listdir(bag.out) == ["said.out"]
    with pytest.raises(StoreError):
        bag.claim(0, Claim("slurm:8", "n1", 1, "w"))


def test_the_log_is_read_back_without_what_cannot_be_read(bag: Bag) -> None:
    bag.log("submitted", id="7", tasks=0)
    with Path(bag.path, "jobs.ndjson").open("ab") as f:
        f.write(b"{torn")
    bag.log("word", job="7", fate="running", said="RUNNING", host="n1")
    assert [line["e"] for line in bag.logged()] == ["submitted", "word"]


def test_a_token_names_bag_and_order(bag: Bag) -> None:
    assert order_of(token_of(bag, 12)) == ("b1", 12)
    assert order_of("") is None
    assert order_of("nonsense") is None


def test_an_order_has_the_number_it_was_given_whatever_cannot_be_read(bag: Bag) -> None:
    bag.add([_entry("a")])
    path = Path(bag.path, "orders.ndjson")
    bag.add([_entry("b"), _entry("c")])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\0" * 40 + b"\n" + lines[2])
    reader = Reader(bag)
    reader.look()
    assert {n: entry.order[1] for n, entry in reader.entries.items()} == {0: "a", 2: "c"}
    assert reader.many == 3


def test_a_bag_of_which_tidying_was_cut_short_is_tidied_again(bag: Bag) -> None:
    assert not bag.is_tidy and not bag.is_half_tidied
    Path(bag.path, "claims").rename(Path(bag.path, ".claims"))
    assert not bag.is_tidy and bag.is_half_tidied
    assert [one.name for one in bags_left(os.path.dirname(bag.path))] == ["b1"]
    bag.tidy()
    assert bag.is_tidy and bags_left(os.path.dirname(bag.path)) == []
    assert bag.terms().env == {}


def test_what_a_crashed_controller_left_is_tidied_up_unless_a_case_of_it_lives(bag: Bag) -> None:
    above = os.path.dirname(bag.path)
    other = Bag.make(above, "b2", _terms(env={"SECRET": "x"}))
    for each in (bag, other):
        each.add([_entry("a")])
    tidy_over(above, [token_of(bag, 0), "", "odd"])
    assert [one.name for one in bags_left(above)] == ["b1"]
    assert "SECRET" not in Path(other.path, "bag.json").read_text(encoding="utf-8")
    assert bag.terms().env


def test_an_environment_that_was_not_written_whole_does_not_stay(bag: Bag) -> None:
    Path(bag.path, "bag.json").write_text('{"home": "/a", "env": {"SECRET": "x', encoding="utf-8")
    bag.tidy()
    assert not Path(bag.path, "bag.json").exists() and bag.is_tidy


def test_a_bag_whose_environment_we_may_not_read_is_not_ours_to_tidy(bag: Bag, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.open

    def guarded(path: Any, *how: Any, **more: Any) -> Any:
        if str(path).endswith("bag.json"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *how, **more)

    monkeypatch.setattr(builtins, "open", guarded)
    with pytest.raises(StoreError, match="permission denied"):
        bag.tidy()
    assert not bag.is_tidy
    tidy_over(os.path.dirname(bag.path), [])
    assert not bag.is_tidy
