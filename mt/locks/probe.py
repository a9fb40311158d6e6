"""Whether locks and databases really work in a directory: tried with other processes, not only asked for.

Some network file systems grant a lock to everybody, others lose updates
without an error (DESIGN.md section 3); only a try tells.  Each try takes a
directory that it may litter and gives (whether it went well, what was seen).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

#: processes, and increments of each, of the try of a database
PROCESSES, TIMES = 3, 20


def _child(code: str, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout.strip()


_TAKE = """
import sys
from mt.errors import BusyError
from mt.locks.filelock import held
try:
    with held(sys.argv[1], wait=False):
        pass
except BusyError:
    sys.exit(4)
"""


def try_lock(scratch: str) -> tuple[bool, str]:
    """Hold a lock while another process asks for it; it must be refused, and get it afterwards."""
    from mt.locks.filelock import held

    path = os.path.join(scratch, "try.lock")
    with held(path):
        refused, said = _child(_TAKE, path)
    if refused != 4:
        return False, "two processes held one lock at once" if refused == 0 else said
    free, said = _child(_TAKE, path)
    if free:
        return False, f"a lock that was given back is not free: {said}"
    return True, "another process was kept out, and let in afterwards"


_COUNT = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for _ in range(int(sys.argv[2])):
    conn.execute("BEGIN IMMEDIATE")
    (n,) = conn.execute("SELECT n FROM counter").fetchone()
    conn.execute("UPDATE counter SET n = ?", (n + 1,))
    conn.execute("COMMIT")
conn.close()
"""


def try_database(scratch: str) -> tuple[bool, str]:
    """Count in one database from several processes at once: where locks lie, increments are lost."""
    import sqlite3
    from contextlib import closing

    path = os.path.join(scratch, "try.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE counter (n INTEGER)")
        conn.execute("INSERT INTO counter VALUES (0)")
    command = [sys.executable, "-c", _COUNT, path, str(TIMES)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(PROCESSES)]
    said = [child.communicate()[0].decode(errors="replace").strip() for child in children]
    if any(child.returncode for child in children):
        return False, next((text.splitlines()[-1] for text in said if text), "a process that counted died")
    with closing(sqlite3.connect(path)) as conn:
        (counted,) = conn.execute("SELECT n FROM counter").fetchone()
    if counted != PROCESSES * TIMES:
        return False, f"{PROCESSES * TIMES} increments, {counted} counted: updates are lost on this file system"
    return True, f"{counted} increments of {PROCESSES} processes, none lost; SQLite {sqlite3.sqlite_version}"


#: seconds for one command on another host
_PATIENCE = 30.0

_KEEP = """
import fcntl, os, sys
os.chdir(sys.argv[1])
fcntl.flock(os.open("flock", os.O_RDWR), fcntl.LOCK_EX)
fcntl.lockf(os.open("fcntl", os.O_RDWR), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""

_ASK = """
import fcntl, os, sys
os.chdir(sys.argv[1])
for name, lock in (("flock", fcntl.flock), ("fcntl", fcntl.lockf)):
    try:
        lock(os.open(name, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
        print(name, end=" ")
    except BlockingIOError:
        pass
    except PermissionError:
        pass
"""


def try_hosts(scratch: str, holder: str, other: str) -> tuple[bool, str]:
    """Hold a flock and a fcntl lock on one host and ask for both on another, by ssh; both must be refused.

    `scratch` must be on the disk that the hosts share.  A host that is empty is
    this one.  What is needed there: ssh without a password, and python3.
    """
    for name in ("flock", "fcntl"):
        with open(os.path.join(scratch, name), "ab"):
            pass
    keeper = subprocess.Popen(
        _on(holder, _KEEP, scratch), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert keeper.stdout is not None and keeper.stderr is not None
        if keeper.stdout.readline() != "held\n":
            return False, f"{holder or 'this host'}: {_last(keeper.stderr.read()) or 'cannot be reached'}"
        return _asked(scratch, other)
    finally:
        try:
            keeper.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.communicate()


def _asked(scratch: str, other: str) -> tuple[bool, str]:
    try:
        asked = subprocess.run(
            _on(other, _ASK, scratch), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False, f"{other or 'this host'}: no answer in {_PATIENCE:.0f} s"
    if asked.returncode:
        return False, f"{other or 'this host'}: {_last(asked.stderr) or 'cannot be reached'}"
    got = asked.stdout.split()
    if got:
        return False, f"{' and '.join(got)} granted to both at once"
    return True, "flock and fcntl refused to the second"


def _on(host: str, code: str, scratch: str) -> Sequence[str]:
    command = ["python3" if host else sys.executable, "-c", code, os.path.abspath(scratch)]
    return ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", host, shlex.join(command)] if host else command


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
