"""What ssh is told: a script for /bin/sh that any login shell hands on unharmed, csh among them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def host_word(host: str) -> str:
    """A host as a word for ssh; raises LaunchError for one that ssh would take for an option."""
    if not host or host.startswith("-") or any(c.isspace() or c == "\0" for c in host):
        from mt.errors import LaunchError

        raise LaunchError(f"cannot go to host '{host}': it is no name of a host")
    return host


def login_line(script: str) -> str:
    """The one word for ssh that runs a script with /bin/sh.

    A newline and `!` mean something to csh even within quotes, so a script with
    one of them travels as base64.
    """
    from shlex import quote

    if not any(c in script for c in "\n!"):
        return f"exec /bin/sh -c {quote(script)}"
    from binascii import b2a_base64

    packed = b2a_base64(script.encode("utf-8", "surrogateescape"), newline=False).decode()
    return f"""exec /bin/sh -c 'eval "$(echo {packed} | base64 -d)"'"""


def entering(directory: str, env: Mapping[str, str], names: Iterable[str]) -> str:
    """The beginning of a script: go to a directory, and set the variables of these names."""
    from shlex import quote

    exports = "".join(f"export {name}={quote(env[name])}; " for name in names if name.isidentifier())
    return f"cd {quote(directory)} || exit; {exports}"
