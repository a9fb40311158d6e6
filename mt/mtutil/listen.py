"""Messages between areas: `tsend` to all listeners, `tlisten` for them (spec/runs.md 1.8).

One TCP connection a message: the sender writes it and closes its side, the
listener answers one line, `ok` or `error: WHY`.  A listener answers at once
and runs its script for one message after the other, in order.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess

from mt.errors import MtError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from queue import SimpleQueue

    from mt.mtutil.talk import Talk

#: how long a sender waits for a listener and a listener for a message, in seconds
TIMEOUT = 2.0
#: a message has at most so many bytes
LIMIT = 65536


def send(listeners: Iterable[str], message: str, talk: Talk) -> int:
    """Send a message to each `host:port`; gives the number of those that took it, one line for each."""
    taken = 0
    for listener in listeners:
        try:
            answer = _sent(*address(listener), message)
        except (MtError, OSError) as e:
            talk.error(f"cannot send to {listener}: {e.what if isinstance(e, MtError) else _reason(e)}")
            continue
        if answer == "ok":
            taken += 1
            talk.print(f"{listener} ok")
        else:
            talk.error(f"{listener} answers: {answer or 'nothing'}")
    return taken


def address(text: str) -> tuple[str, int]:
    """`host:port`, or a port alone for every address of this host; raises MtError."""
    host, _, port = text.rpartition(":")
    if not (port.isdecimal() and port.isascii() and int(port) < 65536):
        raise MtError(f"'{text}' is no HOST:PORT")
    return host.strip("[]"), int(port)


def _sent(host: str, port: int, message: str) -> str:
    data = message.encode("utf-8", "surrogateescape")
    if len(data) > LIMIT:
        raise MtError(f"the message is longer than {LIMIT} bytes")
    with socket.create_connection((host or "localhost", port), timeout=TIMEOUT) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        return _received(link).decode("utf-8", "replace").strip()


def _received(link: socket.socket) -> bytes:
    """All that the other side writes; raises OSError when it writes too much or takes too long."""
    data = b""
    while len(data) <= LIMIT:
        piece = link.recv(LIMIT)
        if not piece:
            return data
        data += piece
    raise OSError(0, "more than a message")


def _reason(error: OSError) -> str:
    return f"no answer within {TIMEOUT:g} s" if isinstance(error, TimeoutError) else why(error)


def listen(where: str, script: str, home: str, talk: Talk) -> int:
    """Listen until the process is ended, and run the script for each message; raises MtError when it cannot begin."""
    from queue import SimpleQueue
    from threading import Thread

    argv = command(script, home)
    host, port = address(where)
    try:
        server = socket.create_server((host, port), backlog=64)
    except OSError as e:
        raise MtError(f"cannot listen on {where}: {why(e)}") from e
    with server:
        messages: SimpleQueue[str] = SimpleQueue()
        Thread(target=_work, args=(messages, lambda text: run(argv, text, home, talk)), daemon=True).start()
        talk.note(f"listening on port {server.getsockname()[1]}")
        while True:
            link, peer = server.accept()
            _serve(link, str(peer[0]), messages, talk)


def _serve(link: socket.socket, peer: str, messages: SimpleQueue[str], talk: Talk) -> None:
    with link:
        link.settimeout(TIMEOUT)
        try:
            text = _received(link).decode("utf-8", "surrogateescape").rstrip("\n")
            is_good = bool(text) and "\0" not in text
            if is_good:
                messages.put(text)
            link.sendall(b"ok\n" if is_good else b"error: no message\n")
        except OSError as e:
            talk.warn(f"message from {peer} lost: {_reason(e)}")


def _work(messages: SimpleQueue[str], act: Callable[[str], None]) -> None:
    while True:
        act(messages.get())


def command(script: str, home: str) -> list[str]:
    """The words of `[listener] script`, its program found in the area or on PATH; raises MtError."""
    try:
        words = shlex.split(script)
    except ValueError as e:
        raise MtError(f"[listener] script '{script}' cannot be split into words: {str(e).lower()}") from e
    if not words:
        raise MtError("no script in [listener] of megatest.config")
    inside = os.path.join(home, os.path.expanduser(words[0]))
    found = inside if os.path.isfile(inside) and os.access(inside, os.X_OK) else shutil.which(words[0])
    if not found:
        raise MtError(f"[listener] script '{words[0]}' is no program")
    return [found, *words[1:]]


def run(argv: list[str], message: str, home: str, talk: Talk) -> None:
    """Run the script with a message as its last word; trouble is one line."""
    try:
        status = subprocess.run([*argv, message], cwd=home, stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as e:
        talk.warn(f"cannot run '{argv[0]}': {why(e)}")
        return
    if status:
        talk.warn(f"'{argv[0]}' ended with status {status}")
