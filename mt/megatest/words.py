"""The words of the old command line, read as they always were (spec/runs.md 1.1).

Pure: no effects, and no imports, because `megatest -step` runs thousands of
times inside tests.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: options that swallow the next word, whatever it looks like (A1)
VALUES = frozenset(
    "-runtests -config -append-config -execute -step -target -reqtarg :runname -runname :state -state :status -status"
    " -list-runs -testdata-csv -testpatt --modepatt -modepatt -tagexpr -itempatt -setlog -set-toplog -runstep -logpro"
    " -m -rerun -days -rename-run -to :category :variable :value :expected :tol :units -start-dir -run-patt"
    " -target-patt -contour -area-tag -area -server -transport -port -since -fields -recover-test -extract-ods"
    " -pathmod -env2file -envcap -envdelta -setvars -set-state-status -set-run-status -remove-keep -age -archive"
    " -actions -precmd -debug -debug-noprop -create-test -override-timeout -test-files -load -section -var -dumpmode"
    " -run-id -ping -refdb2dat -o -log -sort -target-db -source-db -prefix-target -src-target -src-runname"
    " -diff-email -diff-html -sync-to -pgsync -kill-wait -extract-skeleton".split()
)
#: options that stand alone
FLAGS = frozenset(
    "-h -help --help -manual -version -force -xterm -showkeys -show-keys -test-status -set-values -load-test-data"
    " -summarize-items -gui -daemonize -preclean -rerun-clean -rerun-all -clean-cache -no-cache -cache-db"
    " -use-db-cache -prepend-contour -run-wait -run -runall -one-pass -remove-runs -keep-records -get-run-status"
    " -rebuild-db -cleanup-db -rollup -update-meta -create-megatest-area -mark-incompletes -convert-to-norm"
    " -convert-to-old -import-megatest.db -sync-to-megatest.db -logging -v -q -lock -unlock -list-servers"
    " -kill-servers -list-targets -list-db-targets -list-disks -list-run-time -list-test-time -show-runconfig"
    " -show-config -show-cmdinfo -test-paths -diff-rep -syscheck -obfuscate -local -repl -generate-html"
    " -generate-html-structure".split()
)
#: actions that take the words that are no options as their own (A4)
TAKERS = ("-runstep", "-envcap", "-envdelta")


class Args:
    """One command line: values by option, flags, and the words that were none, in order."""

    def __init__(
        self, values: Mapping[str, str], flags: Iterable[str] = (), rest: Iterable[str] = (), *, cut: bool = False
    ) -> None:
        self.values = dict(values)
        self.flags = frozenset(flags)
        self.rest = tuple(rest)
        #: a value option was the last word: usage is shown, and nothing done (A2)
        self.cut = cut

    def value(self, *names: str) -> str | None:
        """The value of the first of these options that was given; None when none was."""
        for name in names:
            found = self.values.get(name)
            if found is not None:
                return found
        return None

    def has(self, *names: str) -> bool:
        """Whether one of these options was given, with or without a value."""
        return any(name in self.values or name in self.flags for name in names)

    @property
    def strangers(self) -> tuple[str, ...]:
        """Words that nobody reads."""
        return () if self.has(*TAKERS) else self.rest


def read(words: Sequence[str]) -> Args:
    """Read a command line; later values win (A3), unknown words are kept (A4, A5)."""
    values: dict[str, str] = {}
    flags: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word in VALUES:
            value = next(waiting, None)
            if value is None:
                return Args(values, flags, rest, cut=True)
            values[word] = value
        elif word in FLAGS:
            flags.append(word)
        else:
            rest.append(word)
    return Args(values, flags, rest)


def pairs(text: str | None) -> tuple[tuple[str, str], ...]:
    """`A=b,C=d` of -setvars: only pieces with exactly one `=` count (A12)."""
    pieces = [piece.split("=") for piece in (text or "").split(",")]
    return tuple((piece[0], piece[1]) for piece in pieces if len(piece) == 2 and piece[0])


def comma_list(text: str | None) -> tuple[str, ...]:
    """The non-empty pieces of a comma list."""
    return tuple(piece for piece in (text or "").split(",") if piece)
