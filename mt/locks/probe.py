"""Whether locks and databases really work in a directory: tried with other processes, not only asked for.

Some network file systems grant a lock to everybody, others lose updates
without an error (DESIGN.md section 3); only a try tells.  Each try takes a
directory that it may litter and gives (whether it went well, what was seen).
"""

from __future__ import annotations

import os
import subprocess
import sys

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
