"""The options about servers: no command needs one, so there is none to list, kill or start (spec/runs.md 1.4, 6.4)."""

from __future__ import annotations

from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args

#: the columns that -list-servers always had
COLUMNS = ("Pid", "Host:Port", "Age", "Last contact", "Alive")
#: seconds after which nobody answers any more
PATIENCE = 3.0


def answer(args: Args, talk: Talk) -> int:
    """-ping, -list-servers, -kill-servers or -server, the first of these that was given."""
    where = args.value("-ping")
    if where is not None:
        return ping(where, talk)
    if args.has("-list-servers"):
        print("  ".join(f"{name:<12}" for name in COLUMNS).rstrip())
    elif args.has("-kill-servers"):
        talk.info(1, "there is no server to kill: every command reads and writes the records itself")
    else:
        talk.info(0, "no server is needed: every command reads and writes the records itself")
    return 0


def ping(where: str, talk: Talk) -> int:
    """0 when something accepts a connection at HOST:PORT, else 1."""
    host, colon, port = where.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise Refused(1, f"-ping {where}: not HOST:PORT")
    import socket

    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as e:
        talk.info(1, f"nobody answers at {where}: {(e.strerror or str(e)).lower()}")
        return 1
    talk.info(1, f"something answers at {where}")
    return 0
