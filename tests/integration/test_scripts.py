"""Programs that a testconfig carries itself are files of the run directory (spec/architecture.md 6.9)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mt.errors import MtError
from mt.pipeline.scripts import write_scripts


def test_a_script_can_be_run_by_its_owner_alone(tmp_path: Path) -> None:
    write_scripts((("hello", "#!/bin/sh\necho hi $1\n"),), str(tmp_path))
    assert (tmp_path / "hello").stat().st_mode & 0o777 == 0o700
    assert subprocess.run([tmp_path / "hello", "x"], capture_output=True, check=True).stdout == b"hi x\n"


def test_a_link_into_the_test_is_replaced_and_not_followed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("of the test")
    (tmp_path / "x").symlink_to(source)
    write_scripts((("x", "one\n"),), str(tmp_path))
    write_scripts((("x", "two\n"),), str(tmp_path))
    assert (tmp_path / "x").read_text() == "two\n"
    assert source.read_text() == "of the test"


def test_a_script_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(MtError, match="cannot write script 'x'"):
        write_scripts((("x", "one\n"),), str(tmp_path))
