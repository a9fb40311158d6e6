"""The procedures that `#{scheme ...}` of areas can call beyond plain Scheme (spec/config.md 1.7).

Each reaches the world through the Expander's `Reading` only.
"""

from __future__ import annotations

from mt.expr import FormError, normal
from mt.scheme import UNSPECIFIED, Interpreter, SchemeError, listed, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mt.expr import Expander


def interpreter(expander: Expander) -> Interpreter:
    """An interpreter whose programs see the expander's reading."""
    procedures = Procedures(expander)
    table: dict[str, object] = {
        name: _guarded(getattr(procedures, method), name) for name, method in NAMES.items() if method
    }
    table["*toppath*"] = expander.reading.home
    table["*user-hash-data*"] = {}
    table["ht"] = procedures
    return Interpreter(table)


def _guarded(procedure: Callable[..., object], name: str) -> Callable[..., object]:
    """The procedure, with a wrong number or kind of arguments told in the user's words."""

    def call(*args: object) -> object:
        try:
            return procedure(*args)
        except FormError as e:
            raise SchemeError(f"({name}): {e}") from e
        except TypeError as e:
            shown = " ".join(to_text(a, write=True) for a in args)
            raise SchemeError(f"wrong arguments in ({name}{' ' if shown else ''}{shown})") from e

    call.__name__ = name
    return call


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise FormError(f"{to_text(value, write=True)} is no string")
    return str(value)


#: Scheme's name -> method of Procedures
NAMES = {
    "args:get-arg": "get_arg",
    "common:get-num-cpus": "cpus",
    "config-lookup": "config_lookup",
    "configf:lookup": "config_lookup",
    "create-directory": "create_directory",
    "current-directory": "current_directory",
    "db:dbfile-path": "dbfile_path",
    "env:min-path": "min_path",
    "get-environment-variable": "getenv",
    "get-host-name": "host",
    "getenv": "getenv",
    "hash-table-keys": "hash_table_keys",
    "hash-table-ref/default": "hash_table_ref",
    "nice-path": "nice_path",
    "setenv": "setenv",
    "shell": "shell",
    "system": "system",
    "tests:filter-test-names": "filter_tests",
    "tests:get-all": "all_tests",
    "thread-sleep!": "sleep",
    "unsetenv": "unsetenv",
}


class Procedures:
    """The procedures of NAMES as methods; their arguments are Scheme values."""

    def __init__(self, expander: Expander) -> None:
        self.expander = expander
        self.reading = expander.reading

    def get_arg(self, switch: object, default: object = False) -> object:
        """The value of a switch of the command line; a switch without value gives `#t`."""
        return self.reading.args.get(_string(switch), default)

    def cpus(self, _host: object = False) -> int:
        """How many processors this host has."""
        return self.reading.effects.cpus()

    def config_lookup(self, _table: object, section: object, key: object) -> object:
        """A value of the file being read."""
        found = self.expander.source.lookup(_string(section), _string(key))
        return False if found is None else found

    def create_directory(self, path: object, _parents: object = False) -> str:
        """Make a directory with its parents; gives the path as written, also when it is there already."""
        self.reading.effects.make_directory(normal(_string(path), self.reading))
        return _string(path)

    def current_directory(self) -> str:
        """Where commands of the file run."""
        return self.reading.cwd

    def dbfile_path(self, _run: object = False) -> str:
        """The directory of the working database."""
        return f"{self.reading.home}/.mtdb"

    def min_path(self, *paths: object) -> str:
        """The union of `:` lists; the first occurrence wins."""
        words = (word for path in paths for word in (_string(path).split(":") if path is not False else ()))
        return ":".join(dict.fromkeys(words))

    def getenv(self, name: object) -> object:
        """A variable of the environment, `#f` when it is not set."""
        self.expander.asked.add(_string(name))
        return self.reading.env.get(_string(name), False)

    def setenv(self, name: object, value: object) -> object:
        """Set a variable for the rest of the reading and for what is started with its environment."""
        if not _string(name) or "=" in _string(name):
            raise FormError(f"{to_text(name, write=True)} cannot name a variable")
        self.reading.env[_string(name)] = _string(value)
        return UNSPECIFIED

    def unsetenv(self, name: object) -> object:
        """Remove a variable."""
        self.reading.env.pop(_string(name), None)
        return UNSPECIFIED

    def host(self) -> str:
        """The name of this host."""
        return self.reading.effects.host()

    def hash_table_keys(self, table: object) -> object:
        """The keys of a hash table, in the order of their insertion."""
        if not isinstance(table, dict):
            raise FormError(f"{to_text(table)} is no hash table")
        return listed(table)

    def hash_table_ref(self, table: object, key: object, default: object) -> object:
        """The value of a key of a hash table, or the default."""
        return table.get(key, default) if isinstance(table, dict) else default

    def nice_path(self, path: object) -> str:
        """An absolute path without `.` and `..`."""
        return normal(_string(path), self.reading)

    def shell(self, command: object) -> str:
        """Standard output of a command on one line."""
        return self.expander.shell(_string(command))

    def system(self, command: object) -> int:
        """The exit status of a command; its output is talk."""
        return self.reading.effects.run(_string(command), self.reading.env, self.reading.cwd)

    def all_tests(self, *_args: object) -> dict[str, str]:
        """A hash table of all tests of the area: name -> name."""
        if self.reading.tests is not None:
            names: Iterable[str] = self.reading.tests()
        else:
            places = [*self.expander.source.directories(), "tests"]
            names = self.reading.effects.tests([f"{self.reading.home}/{p}" if p[:1] != "/" else p for p in places])
        return {name: name for name in names}

    def filter_tests(self, names: object, pattern: object) -> object:
        """The names of a list that a test pattern chooses."""
        from mt.selectors import TestPattern

        chosen = TestPattern(_string(pattern))
        if names != () and not hasattr(names, "__iter__"):
            raise FormError(f"{to_text(names)} is no list")
        return listed(n for n in names if chosen.names_test(_string(n)))

    def sleep(self, seconds: object) -> object:
        """Wait; not in a comment, which is expanded for what it sets and not to lose time."""
        if not isinstance(seconds, int | float):
            raise FormError(f"{to_text(seconds)} is no number")
        if not self.expander.in_comment and seconds > 0:
            self.reading.effects.sleep(seconds)
        return UNSPECIFIED
