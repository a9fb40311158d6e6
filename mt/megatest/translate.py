"""An old command line as the command of mt that does the same, for `megatest -v` and for people who move on.

Each action has a function that takes from the command line what it can say in
the new one.  What nobody took is named after a `#`, so that nothing is lost in
silence.  Some actions have no counterpart: those say why, or what to use.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mt.megatest.words import Args

    Commands = list[list[str]]

#: they say how the old program talks, or nothing at all
TALK = frozenset("-debug -debug-noprop -log -logging -v -q".split())


class NoCounterpart(Exception):
    """There is no such command in mt; the text says why, or what to use."""


class Old:
    """An old command line that is being translated, and which of its options have been taken."""

    def __init__(self, args: Args) -> None:
        self.args = args
        self.taken: set[str] = set()

    def value(self, *names: str) -> str | None:
        """The value of the first of these options that is there and not empty."""
        self.taken.update(names)
        return self.args.value(*names) or None

    def has(self, *names: str) -> bool:
        """Whether one of these options is there."""
        self.taken.update(names)
        return self.args.has(*names)

    def left(self) -> list[str]:
        """The options that nobody took, with their values."""
        from mt.megatest.usage import UNUSED

        passed = self.taken | TALK | set(UNUSED)
        values = [[name, value] for name, value in self.args.values.items() if name not in passed]
        return [*(word for pair in values for word in pair), *sorted(self.args.flags - passed)]

    # -- what many verbs have in common

    def option(self, new: str, *names: str) -> list[str]:
        """A new option with the value of an old one; empty when that is not there."""
        return said(new, self.value(*names))

    def area(self) -> list[str]:
        """Which area."""
        return self.option("--chdir", "-start-dir")

    def target(self) -> list[str]:
        """Area and target."""
        return [*self.area(), *self.option("-t", "-target", "-reqtarg")]

    def run(self) -> list[str]:
        """Area, target and run."""
        return [*self.target(), *self.option("-r", "-runname", ":runname")]

    def chosen(self) -> list[str]:
        """The run, and which states and statuses."""
        states = [*self.option("-s", "-status", ":status"), *self.option("--state", "-state", ":state")]
        return [*self.run(), *states]

    def patterns(self, usual: str | None = None) -> list[str]:
        """The test patterns as an operand, with the items where they stand apart."""
        tests = self.value("-testpatt", "-runtests") or usual
        items = self.value("-itempatt")
        if items:
            tests = ",".join(t if "/" in t else f"{t}/{i}" for t in (tests or "%").split(",") for i in items.split(","))
        return words(tests)


def said(option: str, value: str | None) -> list[str]:
    """An option and its value as words; joined where the value could be taken for an option."""
    if value is None:
        return []
    if value.startswith("-"):
        return [f"{option}={value}" if option.startswith("--") else f"{option}{value}"]
    return [option, value]


def words(*operands: str | None) -> list[str]:
    """Operands that are there; after `--` when one of them could be taken for an option."""
    found = [word for word in operands if word]
    return ["--", *found] if any(word.startswith("-") for word in found) else found


def shown(args: Args) -> str:
    """One line: the new command, quoted for the shell, with what it leaves out; or why there is none."""
    import shlex

    old = Old(args)
    try:
        line = " && ".join(shlex.join(["mt", *command]) for command in commands(old))
    except NoCounterpart as e:
        return f"# {e}"
    left = old.left()
    return f"{line}  # without {shlex.join(left)}" if left else line


def commands(old: Old) -> Commands:
    """The new commands, one after the other, without the leading `mt`; raises NoCounterpart."""
    from mt.megatest.main import ACTIONS

    for options, module, function in ACTIONS:
        if old.args.has(*options):
            if function != "tell":  # one call may ask for several of these
                old.taken.update(options)
            return TABLE[module, function](old)
    raise NoCounterpart("no action was asked for: mt help")


# -- running


def _run(old: Old) -> Commands:
    from mt.megatest.words import pairs

    where = old.run()
    where += [word for name, value in pairs(old.value("-setvars")) for word in said("--set", f"{name}={value}")]
    old.has("-run", "-runall", "-preclean", "-run-wait", "-no-cache")  # mt run does so anyway
    if old.has("-rerun-all"):
        return [["rerun", *where, "%"]]
    if old.has("-rerun-clean"):
        return [["rerun", *where]]
    again = old.option("-s", "-rerun")
    if again:
        return [["rerun", *where, *again, *old.patterns()]]
    return [["run", *where, *old.option("--tags", "-tagexpr"), *old.patterns()]]


def _wait(old: Old) -> Commands:
    old.has("-testpatt", "-state", ":state", "-status", ":status")
    return [["wait", *old.run()]]


# -- changing what is recorded


def _set_state_status(old: Old) -> Commands:
    state, _, status = (old.value("-set-state-status") or "").partition(",")
    if state == "KILLREQ":
        return [["stop", *old.chosen(), *old.option("-m", "-m"), *old.patterns("%")]]
    return [["set", *old.chosen(), *old.option("-m", "-m"), *words(f"{state}/{status}", *old.patterns("%"))]]


def _get_run_status(old: Old) -> Commands:
    return [["status", *old.run()]]


def _freeze(verb: str) -> Callable[[Old], Commands]:
    def command(old: Old) -> Commands:
        message = old.option("-m", "-m") if verb == "freeze" else []
        return [[verb, *old.target(), *message, *words(old.value("-runname", ":runname") or "%")]]

    return command


def _remove(old: Old) -> Commands:
    data = ["--data"] if old.has("-keep-records") else []
    return [["rm", *data, *old.chosen(), *old.patterns("%")]]


def _archive(old: Old) -> Commands:
    what = old.value("-archive")
    if what == "restore":
        return [["archive", "restore", *old.chosen(), *old.patterns("%")]]
    remove = ["--remove"] if what == "save-remove" else []
    return [["archive", "save", *remove, *old.chosen(), *old.patterns("%")]]


def _clean(old: Old) -> Commands:
    return [["clean", *old.target(), *old.option("--keep", "-remove-keep"), *old.option("--older", "-age")]]


# -- asking


def _rows(old: Old) -> list[str]:
    mode = old.value("-dumpmode")
    return [*said("-f", mode if mode in ("json", "csv") else None), *old.option("-o", "-o")]


def _list_runs(old: Old) -> Commands:
    runs = said("-r", old.value("-list-runs"))
    return [["tests", *old.target(), *runs, *_states(old), *_rows(old), *old.option("--sort", "-sort"),
             *old.patterns()]]  # fmt: skip


def _states(old: Old) -> list[str]:
    return [*old.option("-s", "-status", ":status"), *old.option("--state", "-state", ":state")]


def _targets(old: Old) -> Commands:
    return [["targets", *old.area(), *_rows(old), *words(old.value("-target", "-reqtarg"))]]


def _db_targets(old: Old) -> Commands:
    return [["targets", "--db", *old.area(), *_rows(old)]]


def _disks(old: Old) -> Commands:
    return [["disks", *old.target(), *_rows(old)]]


def _keys(old: Old) -> Commands:
    return [["keys", *old.area(), *_rows(old)]]


def _config(file: str | None) -> Callable[[Old], Commands]:
    def command(old: Old) -> Commands:
        section, key = old.value("-section"), old.value("-var")
        where = [*said("--file", file), *old.target()]
        if section and key:
            return [["config", "get", *where, *words(section, key)]]
        mode = old.value("-dumpmode")
        form = said("-f", mode if mode in ("json", "ini") else None)
        return [["config", "show", *where, *form, *old.option("-o", "-o"), *words(section)]]

    return command


def _paths(old: Old) -> Commands:
    return [["paths", *old.chosen(), *old.patterns("%")]]


def _files(old: Old) -> Commands:
    ids = old.patterns("%")
    both = [word for word in ids if word != "--"]
    return [["paths", *old.chosen(), *words(*both, old.value("-test-files"))]]


def _values(old: Old) -> Commands:
    cases = said("--case", old.value("-testpatt"))
    return [["values", "-f", "csv", *old.chosen(), *cases, *old.option("-o", "-o"), *words(old.value("-testdata-csv"))]]


def _times(what: str) -> Callable[[Old], Commands]:
    def command(old: Old) -> Commands:
        target = old.option("-t", "-target-patt", "-target", "-reqtarg")
        run = old.option("-r", "-run-patt", "-runname", ":runname")
        return [["times", "--by", what, *old.area(), *target, *run, *_rows(old)]]

    return command


# -- inside of a test


def _inside(old: Old) -> Commands:
    """One command for each thing that the call asks for, in the order in which they happen."""
    made: Commands = []
    note = old.option("-m", "-m")
    if old.has("-load-test-data"):
        made.append(["value", "-"])
    if old.has("-runstep"):
        old.value("-logpro")  # mt step finds NAME.logpro by itself
        made.append(["step", *note, _step_name(old.value("-runstep")), "--", *old.args.rest])
    if old.has("-step"):
        made.append(_by_hand(old, note))
    if old.has("-set-values") or old.value(":value"):
        made.append(_one_value(old, note))
    if old.has("-test-status"):
        state = old.option("--state", ":state")
        made.append(["result", *state, *note, *old.option("--log", "-setlog"), *words(old.value(":status") or "n/a")])
    if old.has("-summarize-items"):
        made.append(["rollup"])
    if not made:
        raise NoCounterpart("mt result STATUS --log FILE names a log")
    return made


def _by_hand(old: Old, note: list[str]) -> list[str]:
    log = old.option("--log", "-setlog") if not old.args.has("-test-status") else []
    state, status = old.value("-state", ":state"), old.value("-status", ":status") or ""
    about = ["step", *note, *log]
    mark = "start" if state == "start" else "end"
    if status.startswith("-") and not status[1:].isdigit():
        raise NoCounterpart("mt step needs a status that does not begin with a dash")
    return [*about, _step_name(old.value("-step")), mark, *([status] if status else [])]


def _step_name(name: str | None) -> str:
    if not name or name.startswith("-"):
        raise NoCounterpart("mt step needs a name that does not begin with a dash")
    return name


def _one_value(old: Old, note: list[str]) -> list[str]:
    more = [
        *old.option("--category", ":category"), *old.option("--expect", ":expected"), *old.option("--tol", ":tol"),
        *old.option("--units", ":units"),
    ]  # fmt: skip
    return ["value", *more, *note, *words(f"{old.value(':variable') or 'value'}={old.value(':value') or ''}")]


# -- environment, making, mending


def _env_save(old: Old) -> Commands:
    return [["env", "save", *words(old.value("-env2file", "-envcap") or "-")]]


def _env_delta(old: Old) -> Commands:
    before, _, after = (old.value("-envdelta") or "").partition("-")
    mode = {"bash": "sh", "csh": "csh", "config": "ini", "ini": "ini"}.get(old.value("-dumpmode") or "")
    return [["env", "delta", *said("-f", mode), *old.option("-o", "-o"), *words(before or "-", after)]]


def _new(old: Old) -> Commands:
    return [["new", *old.area(), *words(old.value("-create-test"))]]


def _no(text: str) -> Callable[[Old], Commands]:
    def command(old: Old) -> Commands:
        raise NoCounterpart(text)

    return command


#: (module, function) of main.ACTIONS -> how it is said today
TABLE: Mapping[tuple[str, str], Callable[[Old], Commands]] = {
    ("usage", "show"): lambda old: [["help"]],
    ("usage", "version"): lambda old: [["version"]],
    ("usage", "manual"): lambda old: [["help", "all"]],
    ("usage", "meaningless"): _no("Scheme programs have no meaning any more; call mt from a script"),
    ("inside", "tell"): _inside,
    ("inside", "show_cmdinfo"): _no("the variables MT_TARGET, MT_RUNNAME, MT_TEST_NAME and MT_ITEMPATH say it"),
    ("inside", "recover"): _no("mt run finds tests whose worker is gone by itself"),
    ("envs", "to_file"): _env_save,
    ("envs", "capture"): _env_save,
    ("envs", "delta"): _env_delta,
    ("child", "execute"): _no("-execute is for launchers only; mt run starts cases by itself"),
    ("servers", "answer"): _no("there are no servers, and none are needed"),
    ("shows", "targets"): _targets,
    ("shows", "db_targets"): _db_targets,
    ("shows", "disks"): _disks,
    ("shows", "keys"): _keys,
    ("shows", "config"): _config(None),
    ("shows", "runconfig"): _config("runconfigs"),
    ("listing", "list_runs"): _list_runs,
    ("files", "paths"): _paths,
    ("files", "files"): _files,
    ("tables", "testdata"): _values,
    ("tables", "run_times"): _times("run"),
    ("tables", "test_times"): _times("test"),
    ("reports", "extract_ods"): _no("mt tests -f csv makes a table that a spreadsheet reads"),
    ("reports", "difference"): _no("join the rows of two runs: mt tests -r RUN --fields test,item,status"),
    ("reports", "html"): _no("pages are written by megatest only"),
    ("reports", "html_structure"): _no("pages are written by megatest only"),
    ("refdb", "convert"): _no("sheets are converted by megatest only"),
    ("creating", "area"): lambda old: [["init", *words(old.value("-start-dir"))]],
    ("creating", "test"): _new,
    ("upkeep", "update_meta"): _no("mt run reads the facts of each test by itself"),
    ("upkeep", "import_db"): lambda old: [["db", "import", *old.area(), "megatest.db"]],
    ("upkeep", "sync"): lambda old: [["db", "export", *old.area(), "megatest.db"]],
    ("upkeep", "rebuild"): lambda old: [["db", "rebuild", "--all", *old.area()]],
    ("upkeep", "cleanup"): lambda old: [["db", "vacuum"]],
    ("upkeep", "mark_incompletes"): _no("mt run finds tests whose worker is gone by itself"),
    ("upkeep", "rollup"): lambda old: [["rollup", *old.run(), *old.patterns()]],
    ("upkeep", "clean_cache"): _no("nothing is kept that would have to be removed"),
    ("operate", "set_run_status"): _no("the status of a run follows from its cases"),
    ("operate", "get_run_status"): _get_run_status,
    ("operate", "lock"): _freeze("freeze"),
    ("operate", "unlock"): _freeze("thaw"),
    ("operate", "set_state_status"): _set_state_status,
    ("removing", "remove_runs"): _remove,
    ("removing", "remove_keep"): _clean,
    ("removing", "archive"): _archive,
    ("running", "run"): _run,
    ("running", "wait"): _wait,
}  # fmt: skip
