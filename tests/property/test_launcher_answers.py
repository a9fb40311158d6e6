"""What always holds of engines: no answer does harm, ranges are exact, and what is written can be read."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.errors import ConfigError
from mt.launchers import ENGINES, engine
from mt.launchers.amounts import clock, megabytes, memory, minutes, time
from mt.launchers.base import OVER, RUNNING, WAITING, Ask, Engine, Job, Unreadable
from mt.launchers.calling import Answer, explain, trouble_of
from mt.launchers.lists import label, numbers, portions
from mt.launchers.words import over, read_choice

ALL = [engine(name) for name in ENGINES if name != "ssh"]
#: pieces of answers, so that rubbish comes near to what is understood
PIECES = st.sampled_from(
    ["|", "\n", "123", "_[", "1-5", "%2]", ":", "RUNNING", "PENDING", "[", "]", "{", "}", '"', "Job Id: ", "1.srv",
     "    job_state = ", "R", "<job_list>", "</job_list>", "<state>", "</state>", "<JB_job_number>", "<", ">", "&amp;",
     '"ClusterId": 1', ",", "Jobs", "=====", "jobnumber 5", "failed 100 :", "Job <1[2]>", "TERM_MEMLIMIT", "\t", "\0"]
)  # fmt: skip
RUBBISH = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=30).map("".join))
PRINTABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Co", "Cn")), max_size=12
)
WORDS = st.text("abcXYZ019_.-", min_size=1, max_size=12)
ASKS = st.builds(
    Ask, st.integers(0, 512), st.integers(0, 1 << 44), st.floats(0, 1e7), WORDS, WORDS, WORDS,
    st.lists(st.sampled_from(["--a", "-x", "b=c", "d e=f"]), max_size=3).map(tuple),
)  # fmt: skip


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
@given(answer=RUBBISH)
def test_an_answer_is_understood_or_unreadable(made: Engine, answer: str) -> None:
    for read in (made.read, made.read_past):
        try:
            found = read(answer) if read else {}
        except Unreadable as e:
            assert str(e).isprintable()
            continue
        assert {said.fate for said in found.values()} <= {*WAITING, *RUNNING, *OVER}


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
@given(out=RUBBISH, err=RUBBISH, status=st.integers(-64, 1100))
def test_a_failure_is_always_one_line(made: Engine, out: str, err: str, status: int) -> None:
    said = explain(made, Answer(status, out, err, "x"))
    assert said and said.isprintable()
    assert len(said) < 1000
    trouble = trouble_of(made, Answer(status, out, err))
    assert trouble is None or trouble in made.troubles or status > 1000


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
@given(
    ask=ASKS, tasks=st.integers(0, 2000), name=st.text(max_size=30), words=st.lists(PRINTABLE, min_size=1, max_size=4)
)
def test_a_script_begins_with_its_directives_and_ends_with_its_command(
    made: Engine, ask: Ask, tasks: int, name: str, words: list[str]
) -> None:
    job = Job(name, ("/py", *words), "/out dir", "/home", ask, tasks, tasks // 2, 60)
    text = made.text(job)
    assert made.submit(job, "/s")
    if made.name == "htcondor":
        assert text.endswith(f"queue {tasks}\n" if tasks else "queue\n")
        return
    first, *lines, trap, last = text.splitlines()
    assert first == "#!/bin/sh" and trap.startswith("trap '' ")
    assert shlex.split(last) == ["exec", *job.command]
    assert all(line.startswith(("#SBATCH ", "#BSUB ", "#PBS ", "#$ ", "cd ")) for line in lines)


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
@given(number=st.integers(0, 5000))
def test_tasks_have_ids_of_their_own_and_tell_their_array(made: Engine, number: int) -> None:
    array = "123[].srv" if made.name in ("pbs", "torque") else "123"
    one = made.task(array, number)
    assert one != made.task(array, number + 1)
    assert str(number + made.task_number[1]) in one
    assert made.task(array, number) == one


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
@given(jobs=st.lists(WORDS, max_size=3000, unique=True))
def test_each_job_is_cancelled_once(made: Engine, jobs: list[str]) -> None:
    calls = made.cancel(jobs)
    assert len(calls) == -(-len(jobs) // 1000)
    assert [job for call in calls for job in call if job in set(jobs)] == jobs


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 200), st.integers(1, 9)), min_size=1, max_size=8))
def test_ranges_have_exactly_the_numbers_that_were_written(parts: list[tuple[int, int, int]]) -> None:
    text = ",".join(f"{a}-{a + n}:{step}" if step > 1 else f"{a}-{a + n}" if n else str(a) for a, n, step in parts)
    wanted = [k for a, n, step in parts for k in (range(a, a + n + 1, step) if step > 1 or n else [a])]
    assert list(numbers(text)) == wanted


@given(st.text(max_size=20))
def test_text_that_is_no_range_is_unreadable(text: str) -> None:
    try:
        found = list(numbers(text))
    except Unreadable:
        return
    assert found and re.fullmatch(r"[0-9,:-]+", text)


@given(st.integers(1, 1 << 50))
def test_memory_is_never_less_than_asked(size: int) -> None:
    assert (megabytes(size) - 1) << 20 < size <= megabytes(size) << 20
    assert memory(f"{megabytes(size)}M") == megabytes(size) << 20
    assert memory(f"{megabytes(size)}") == memory(f"{megabytes(size)}MiB")


@given(st.floats(0.01, 1e8))
def test_time_is_never_less_than_asked(secs: float) -> None:
    assert secs <= time(clock(secs)) < secs + 1
    assert secs <= minutes(secs) * 60 < secs + 60


@given(st.text(max_size=20))
def test_amounts_are_numbers_or_told_in_one_line(text: str) -> None:
    for reader in (memory, time):
        try:
            assert reader(text) > 0
        except ValueError as e:
            assert str(e).isprintable()


@given(st.text(max_size=40))
def test_a_label_is_a_plain_word(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", label(name))
    assert label(label(name)) == label(name)
    assert len(label(name, 15)) <= 15


@given(st.lists(st.text(max_size=3), max_size=2500))
def test_portions_lose_nothing(jobs: list[str]) -> None:
    assert [job for argv in portions(("x",), jobs) for job in argv[1:]] == jobs


KEYS = st.sampled_from(
    ["queue", "mem", "cores", "time", "submit", "jobs", "poll", "hosts", "flags", "nix", "engine", ""]
)


@given(
    st.sampled_from([*ENGINES, "fast", "bsub"]),
    st.lists(st.tuples(KEYS, st.text(max_size=8)), max_size=4),
    st.booleans(),
)
def test_any_launcher_is_understood_a_command_or_told_in_one_line(
    first: str, pairs: list[tuple[str, str]], quoting: bool
) -> None:
    words = [f"{key}={value}" for key, value in pairs]
    text = " ".join([first, *(map(shlex.quote, words) if quoting else words)])
    try:
        choice = read_choice(text, {"fast": {"engine": "lsf", "queue": "q"}})
    except ConfigError as e:
        assert len(e.lines()) <= 2
        return
    assert choice is None or (choice.text == text.strip() and choice.engine in ENGINES)
    assert hash(choice) == hash(choice)


@given(ASKS, ASKS, ASKS)
def test_asking_over_asking_does_not_depend_on_brackets(a: Ask, b: Ask, c: Ask) -> None:
    assert over(over(a, b), c) == over(a, over(b, c))
    assert over(a, Ask()) == over(Ask(), a) == a
