"""`mt jobs`, `mt why` and `mt rm` where the files of jobs are damaged, half removed, or not ours to read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import Recorded
from testarea import TARGET, Area

from mt.pipeline.bag import Bag, Claim, Entry, Terms, bags_of, token_of

ONE = '{"e":"submitted","t":5,"id":"7","tasks":0,"engine":"slurm","launcher":"slurm","way":"job","ask":{}}\n'
ODD = (
    '{"e":"submitted","id":5,"tasks":"x"}\n{"e":"submitted","id":[1],"tasks":{},"engine":["slurm"],"ask":7}\n'
    '{"e":"submitted","t":"now","id":{"a":1},"tasks":-3,"engine":"slurm","launcher":null,"ask":{"cores":"x","flags":3}}\n'
    '{"e":"submitted","t":1,"id":"8","tasks":1e99,"engine":"slurm","ask":{"memory":1e400,"cores":NaN,"time":true}}\n'
    '{"e":"word","job":null}\n{"e":"word","job":["7"],"fate":3,"said":{},"host":null,"t":"x"}\n{"e":"word","job":"7","fate":7}\n'
    '{"e":"cancelled","jobs":"7"}\n{"e":"cancelled","jobs":[null,{}]}\n{"e":["word"]}\n{"e":null}\n[]\n7\n"x"\nnull\n'
    '{"e":"refused"}\n{"e":"trouble","what":[1]}\n{"e":"word","t":Infinity,"job":"7","fate":"queued"}\n{{{\n\\x00\n'
)


class Handed:
    """A run with a case in a bag that has one job."""

    def __init__(self, area: Area) -> None:
        area.test("t", "true")
        self.area = area
        self.run = Recorded(area)
        self.above = Path(bags_of(self.run.store.root, self.run.id))
        terms = Terms(str(area.home), TARGET, "r1", self.run.id, "", False, {}, (), "slurm", "job")
        self.bag = Bag.make(str(self.above), "b1", terms)
        self.bag.add([Entry([0, "t", "", [], 1, 1, True], 0.0, 1.0)])
        self.write("jobs.ndjson", ONE)
        self.run.case("t", "", "LAUNCHED", "LAUNCHED", job="slurm:7", host="", token=token_of(self.bag, 0), start=5.0)

    def write(self, name: str, text: str) -> None:
        Path(self.bag.path, name).write_text(text, encoding="utf-8")

    def remove(self, name: str) -> None:
        path = Path(self.bag.path, name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def handed(area: Area) -> Handed:
    return Handed(area)


def _replaced(path: Path, text: str | None = None) -> None:
    """An empty directory in place of what was there, or a file."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    if text is None:
        path.mkdir()
    else:
        path.write_text(text, encoding="utf-8")


DAMAGE: dict[str, Callable[[Handed], object]] = {
    "odd log": lambda on: on.write("jobs.ndjson", ODD),
    "odd log after a job": lambda on: on.write("jobs.ndjson", ONE + ODD),
    "no log": lambda on: on.remove("jobs.ndjson"),
    "a log that is a directory": lambda on: _replaced(Path(on.bag.path, "jobs.ndjson")),
    "odd terms": lambda on: on.write("bag.json", '{"home": [}'),
    "no orders": lambda on: on.write("orders.ndjson", ""),
    "odd orders": lambda on: on.write("orders.ndjson", 'x\n{"o":3}\n{"o":[[],1]}\n[]\n{"n":"x","o":[]}\n{"over":tru'),
    "orders gone": lambda on: on.remove("orders.ndjson"),
    "claims gone": lambda on: on.remove("claims"),
    "odd claim": lambda on: on.write("claims/0", "[1, 2"),
    "claim of other types": lambda on: on.write("claims/0", "[null, 7, {}, []]"),
    "claim of an odd job": lambda on: on.bag.claim(0, Claim("odd", "h", 1, "w")),
    "only the directory": lambda on: _replaced(Path(on.bag.path)),
    "a file for a bag": lambda on: _replaced(Path(on.bag.path), "x"),
    "nothing": lambda on: shutil.rmtree(on.bag.path),
    "a file for all bags": lambda on: _replaced(on.above, "x"),
    "no permission for the bag": lambda on: os.chmod(on.bag.path, 0),
    "no permission for all bags": lambda on: os.chmod(on.above, 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "words",
    [("jobs",), ("jobs", "--ask", "slurm:7"), ("why", "t")],
    ids=" ".join,
)  # fmt: skip
def test_damaged_files_of_jobs_are_passed_over(handed: Handed, damage: str, words: tuple[str, ...]) -> None:
    DAMAGE[damage](handed)
    try:
        done = handed.area.mt(*words)
    finally:
        for path in (handed.above, handed.bag.path):
            if os.path.isdir(path):
                os.chmod(path, 0o755)
    assert "Traceback" not in done.err, done.err
    assert done.status in ((0, 6) if "--ask" in words and done.status != 7 else (0, 7)), (done.status, done.err)
    assert len(done.err.splitlines()) <= 3


def test_what_can_be_read_is_shown(handed: Handed) -> None:
    handed.write("jobs.ndjson", ODD + ONE)
    assert {"slurm:7"} <= {row["job"] for row in handed.area.rows("jobs")}


def test_a_run_that_was_removed_has_no_jobs(handed: Handed) -> None:
    handed.run.case("t", "", "COMPLETED", "PASS", job="slurm:7", gen=3, token=token_of(handed.bag, 0))
    handed.area.ok("rm", "t")
    assert not handed.above.exists()
    for words in (("jobs",), ("jobs", "--cases"), ("jobs", "--advice"), ("jobs", "slurm:7"), ("jobs", "--ask")):
        done = handed.area.mt(*words)
        assert (done.status, done.out) == (7, ""), (words, done.err)
        assert "Traceback" not in done.err


@pytest.mark.parametrize("words", [("--data",), ("-n",)])
def test_what_removes_no_records_keeps_the_jobs(handed: Handed, words: tuple[str, ...]) -> None:
    handed.run.case("t", "", "COMPLETED", "PASS", job="slurm:7", gen=3, token=token_of(handed.bag, 0))
    handed.area.ok("rm", *words, "t")
    assert len(handed.area.rows("jobs")) == 1
