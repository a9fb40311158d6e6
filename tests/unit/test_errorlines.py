"""Which lines of a log read like trouble."""

from __future__ import annotations

import pytest

from mt.errorlines import error_lines, looks_bad


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: cannot open file",
        "make: *** [all] Error 2",
        "Traceback (most recent call last):",
        "KeyError: 'x'",
        "java.lang.NullPointerException",
        "Segmentation fault (core dumped)",
        "bash: foo: command not found",
        "foo.o: undefined reference to `bar'",
        "2 tests failed",
        "0 errors, 1 failure",
        "UVM_FATAL @ 0: reporter",
    ],
)
def test_trouble_is_seen(line: str) -> None:
    assert looks_bad(line)


@pytest.mark.parametrize(
    "line",
    ["0 errors", "no errors found", "errors: 0", "finished without error", "terror of the deep sea", "all is well", ""],
)
def test_calm_words_are_no_trouble(line: str) -> None:
    assert not looks_bad(line)


def test_lines_have_their_numbers_and_are_limited() -> None:
    log = ["fine\n", "error one\r\n", "error two\n", "fatal three\n"]
    assert list(error_lines(log, 2)) == [(2, "error one"), (3, "error two")]
