"""Looking at real directories and asking real scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.disks import free_space, look, script_space


def test_the_file_system_says_how_much_is_free(tmp_path: Path) -> None:
    assert free_space(str(tmp_path)) > 0


@pytest.mark.parametrize(("path", "reason"), [("relative", "not an absolute path"), ("/nonexist", "no such directory")])
def test_an_unusable_disk_says_why(path: str, reason: str) -> None:
    assert look("d", path, free_space).reason == reason


def test_a_script_is_asked_with_the_path(tmp_path: Path) -> None:
    script = tmp_path / "free space"
    script.write_text('#!/bin/sh\ntest -d "$1" && echo 12345 KiB\n')
    script.chmod(0o755)
    probe = script_space("./free\\ space", {"PATH": "/usr/bin:/bin"}, str(tmp_path))
    assert look("d", str(tmp_path), probe).free == 12345


@pytest.mark.parametrize(("script", "reason"), [("false", "status 1"), ("true", "no number"), ("echo x", "'x'")])
def test_a_script_that_fails_makes_the_disk_unusable(tmp_path: Path, script: str, reason: str) -> None:
    disk = look("d", str(tmp_path), script_space(script, {"PATH": "/usr/bin:/bin"}, str(tmp_path)))
    assert disk.free is None
    assert reason in disk.reason
