"""A team's directories: umask, rights and groups of what is made, and the line for whom they keep out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from members import ANN, BOB, TEAM, as_user, cannot, office, python

from mt import team
from mt.db import Store
from mt.errors import ConfigError, MtError, NotPermitted, StoreError
from mt.journal import drop
from mt.model import RunKey
from mt.teamcheck import closed, findings

KEY = RunKey("t", "r")


@pytest.fixture
def umask() -> Iterator[None]:
    """A closed umask of the user, and the one before at the end."""
    before = os.umask(0o077)
    team.own_umask.cache_clear()
    yield
    team.own_umask.cache_clear()
    os.umask(before)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory that its group may write, with setgid."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o2775)
    return path


def current() -> int:
    """The umask now."""
    now = os.umask(0)
    os.umask(now)
    return now


def mode(path: Path) -> int:
    """The rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_a_team_takes_only_the_bits_of_the_group_out_of_the_umask(shared: Path, tmp_path: Path) -> None:
    team.join(team.of_area(str(tmp_path)))
    assert current() == 0o077
    team.join(team.of_area(str(shared)))
    assert current() == 0o007
    with team.apart():
        assert current() == 0o077
    team.join(team.of_area(str(tmp_path)))
    assert current() == 0o077


@pytest.mark.usefixtures("umask")
def test_a_store_is_a_team_s_from_its_first_file(shared: Path) -> None:
    store = Store(str(shared), create=True)
    assert store.group == shared.stat().st_gid
    store.create_run(KEY, owner="ann")
    assert list(closed(store.root, store.group, 1000)) == []


@pytest.mark.usefixtures("umask")
def test_a_store_that_is_not_shared_obeys_the_umask_also_after_one_that_is(shared: Path, tmp_path: Path) -> None:
    Store(str(shared), create=True)
    alone = tmp_path / "alone"
    alone.mkdir(mode=0o755)
    store = Store(str(alone), create=True)
    assert store.group is None
    run_id = store.create_run(KEY, owner="ann")
    drop(store.journal_dir(run_id), [("note", {"text": "x"})])
    open_ = [p for p in (alone / ".mtdb").rglob("*") if mode(p) & 0o077 and p.suffix != ".db"]
    assert [p for p in open_ if not p.name.startswith("main.db")] == []


def test_a_store_decides_for_itself_whatever_the_directory_says(tmp_path: Path, shared: Path) -> None:
    (tmp_path / ".mtdb").mkdir()
    (tmp_path / ".mtdb").chmod(0o2770)
    assert team.of_area(str(tmp_path)) == os.stat(tmp_path / ".mtdb").st_gid
    (shared / ".mtdb").mkdir()
    (shared / ".mtdb").chmod(0o755)
    assert team.of_area(str(shared)) is None


def test_a_group_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no group 'no-such-group' on this host"):
        team.of_area(str(tmp_path), "no-such-group")
    ((name, found),) = findings(str(tmp_path), str(tmp_path / "lt"), (), "no-such-group")
    assert (name, found.good) == ("team", False)
    assert "no-such-group" in found.text


@pytest.mark.usefixtures("umask")
def test_a_drop_of_a_step_with_a_closed_umask_can_be_folded_by_others(shared: Path, tmp_path: Path) -> None:
    for home, rights in ((shared, 0o660), (tmp_path, 0o600)):
        assert mode(Path(drop(str(home), [("note", {"text": "x"})]))) == rights


@pytest.mark.usefixtures("umask")
def test_a_db_is_made_for_the_group_where_a_team_is(shared: Path, tmp_path: Path) -> None:
    team.join(team.of_area(str(shared)))
    team.make_file(str(shared / "x.db"))
    team.make_file(str(tmp_path / "x.db"))
    assert mode(shared / "x.db") == 0o660
    assert not (tmp_path / "x.db").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories to any group")
def test_only_directories_that_were_missing_are_given_to_the_group(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o755)
    team.make_directory(str(disk / "a" / "b"), TEAM)
    assert (disk.stat().st_gid, mode(disk)) != (TEAM, 0o2775)
    for path in (disk / "a", disk / "a/b"):
        assert path.stat().st_gid == TEAM
        assert mode(path) & 0o2070 == 0o2070


def test_other_errors_stay_what_they_are() -> None:
    plain = StoreError("broken")
    assert team.explained(plain) is plain
    plain.__cause__ = FileNotFoundError(2, "no such file or directory", "/x")
    assert team.explained(plain) is plain


def test_a_disk_that_is_read_only_is_no_permission(tmp_path: Path) -> None:
    error = MtError("cannot write 'x': read-only file system")
    error.__cause__ = OSError(30, "read-only file system", str(tmp_path))
    told = team.explained(error)
    assert (told.status, told.what) == (9, error.what)


@pytest.mark.skipif(bool(cannot()), reason=cannot() or "-")
def test_who_is_kept_out_is_told_by_what_and_how_it_is_mended() -> None:
    """As another user: root is kept out by nothing."""
    script = (
        "import sys\n"
        "from mt.team import explained\n"
        "from mt.errors import StoreError\n"
        "try:\n"
        "    open(sys.argv[1], 'w')\n"
        "except OSError as e:\n"
        "    error = StoreError('cannot write it: permission denied')\n"
        "    error.__cause__ = e\n"
        "    print(explained(error).status, *explained(error).lines(), sep='|')\n"
    )
    with office(0o022, 0o022) as made:
        made.area.mkdir()
        os.chown(made.area, ANN, TEAM)
        made.area.chmod(0o755)
        (made.area / "theirs").write_text("x")
        os.chown(made.area / "theirs", ANN, TEAM)
        (made.area / "theirs").chmod(0o644)

        def told(name: str) -> str:
            words = [python(), "-c", script, str(made.area / name)]
            return as_user(BOB, words, (TEAM,), env=made.bob.environment(), cwd="/").stdout.strip()

        said = f"9|cannot write it: permission denied ('{made.area}' belongs to {ANN}:{TEAM}, mode 0755)|"
        assert told("new").startswith(said)
        assert told("new").endswith(f"chmod g+rwxs '{made.area}'; mt doctor says more")
        made.area.chmod(0o2775)
        assert f"('{made.area}/theirs' belongs to {ANN}:{TEAM}, mode 0644)" in told("theirs")
        assert f"chmod g+rw '{made.area}/theirs'" in told("theirs")


@pytest.mark.skipif(bool(cannot()), reason=cannot() or "-")
def test_a_group_that_one_is_no_member_of_cannot_be_given() -> None:
    with office(0o022, 0o022) as made:
        made.area.mkdir()
        os.chown(made.area, ANN, ANN)
        words = [python(), "-c", f"from mt.team import share; share({str(made.area)!r}, 4711)"]
        done = as_user(ANN, words, (TEAM,), env=made.ann.environment(), cwd="/")
        assert f"{NotPermitted.__name__}: cannot give '{made.area}' to group 4711" in done.stderr
