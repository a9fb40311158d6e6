"""Help, version and manual of the old command line, and what it no longer knows (spec/runs.md 1.1, 1.7).

The help is a table; what is in it does something, and `UNUSED` is what is read
and does nothing, so that old scripts go on.
"""

from __future__ import annotations

import sys

from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args

HEAD = """\
megatest: run tests that depend on each other, and tell how they went

This is the old command line of mt.  It goes on working; `mt help` shows the
new one, and -v prints what a call would be there.  Patterns know % as the
wildcard; several are separated by commas; TEST/ITEM names an item.

usage: megatest ACTION [OPTIONS]
"""

#: heading -> (option as written, what it does)
GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "this program": (
        ("-h, -help, --help", "print this and leave"),
        ("-manual", "say where the manual is"),
        ("-version", "print the version"),
        ("-load FILE, -repl", "no Scheme program is run any more: say what to use"),
    ),
    "run tests (with -target and -runname)": (
        ("-run, -runall", "run what -testpatt selects, and go on from what is recorded"),
        ("-runtests PATT", "the same as -run -testpatt PATT"),
        ("-rerun STATUS,...", "with -run: run again what ended with one of these statuses"),
        ("-rerun-clean", "reset what failed or is unfinished, empty its directories, and run"),
        ("-rerun-all", "reset everything, empty all directories, and run"),
        ("-preclean", "empty the directory of a test before it runs"),
        ("-force", "run also what has ended or seems to run"),
        ("-one-pass", "start what can start, and leave when nothing moves"),
        ("-run-wait", "wait until all is over; alone: until nothing fits the selectors any more"),
        ("-contour NAME", "a further level in the directories of the run"),
        ("-clean-cache", "remove configs that older versions kept"),
    ),
    "select": (
        ("-target V1/V2/...", "the target; also from MT_TARGET"),
        ("-reqtarg V1/V2/...", "the same, and runconfigs.config must have a section for it"),
        ("-runname, :runname NAME", "the name of the run"),
        ("-testpatt PATT", "tests and items; % or none: what TESTPATT of the target says"),
        ("-modepatt, --modepatt KEY", "take the pattern from this key of runconfigs.config"),
        ("-tagexpr EXPR", "tests by their tags"),
        ("-itempatt PATT", "items"),
        ("-state, :state S,...", "only these states"),
        ("-status, :status S,...", "only these statuses"),
    ),
    "change what is recorded": (
        ("-set-state-status STATE,STATUS", "give the selected tests a state and a status; KILLREQ,n/a ends them"),
        ("-set-run-status STATUS", "give the run a status, with -m a comment"),
        ("-get-run-status", "print it"),
        ("-lock, -unlock", "protect the run from removal and change, or no longer"),
        ("-remove-runs", "remove the selected tests and their directories"),
        ("-keep-records", "with -remove-runs: only the directories"),
        ("-kill-wait SECS", "with -remove-runs: wait at most so long for tests that are ended first"),
        ("-remove-keep N", "keep the newest N runs of each target, remove the others"),
        ("-age TIME", "with -remove-keep: only runs older than this, as 5d12h"),
        ("-actions A,...", "with -remove-keep: print, remove-runs, archive, kill-runs"),
        ("-precmd CMD", "with -remove-keep: write CMD in front of each command line"),
        ("-archive save|save-remove|keep-html|restore", "put data into the archive, or take them out"),
        ("-rollup", "does nothing: tests follow their items by themselves"),
        ("-mark-incompletes", "settle what is recorded as running and has no worker any more"),
        ("-recover-test RUN-ID,TEST-ID", "settle one such test, by what is on disk"),
        ("-update-meta", "read owner, description, tags ... of all tests again"),
    ),
    "ask": (
        ("-list-runs PATT", "runs, their tests and steps; -testpatt, -state, -status, -target select"),
        ("-fields SPEC", "runs:A,B+tests:C,D+steps:E,F: which columns"),
        ("-dumpmode MODE", "json, sexpr, ods, csv, ...: another form; what there is depends on the action"),
        ("-sort FIELD", "the order of the tests"),
        ("-o FILE", "write there"),
        ("-list-targets, -list-db-targets", "targets that are configured, or that have runs"),
        ("-list-disks, -show-keys, -showkeys", "disks; names of the parts of a target"),
        ("-show-config, -show-runconfig", "what the config files come to; -section S -var V for one value"),
        ("-show-cmdinfo", "inside a test: which one it is"),
        ("-test-paths, -test-files PATT", "directories of tests, or files in them"),
        ("-testdata-csv [CAT/]VAR", "measured values"),
        ("-list-run-time, -list-test-time", "how long they took; -run-patt and -target-patt select runs"),
        ("-extract-ods FILE", "a spreadsheet of runs; -pathmod PREFIX goes before its paths"),
        ("-diff-rep", "compare with -src-target and -src-runname; -diff-html FILE, -diff-email ADDRESSES"),
        ("-generate-html, -generate-html-structure", "pages in the link tree"),
    ),
    "inside of a test": (
        ("-step NAME", "record a step; -state and -status are needed, -setlog and -m are welcome"),
        ("-runstep NAME CMD...", "run CMD as a step, output in NAME.log; -logpro RULES judges it"),
        ("-test-status", "name the result: :state and :status are needed; AUTO lets the values decide"),
        ("-setlog FILE, -set-toplog FILE", "the log to read first, of this test or of its top record"),
        ("-set-values", "one value: :value, and :category :variable :expected :tol :units"),
        ("-load-test-data", "rows of category,variable,value,expected,tol,units,comment,status,type on stdin"),
        ("-summarize-items", "write the page of all items now"),
        ("-m TEXT", "a comment"),
    ),
    "configuration and environment": (
        ("-start-dir DIR", "go there first"),
        ("-config FILE, -append-config FILE", "read FILE in place of megatest.config, or after it"),
        ("-setvars A=b,C=d", "variables for the tests"),
        ("-env2file NAME", "write the environment to NAME.sh and NAME.csh"),
        ("-envcap NAME [FILE]", "keep the environment under a name"),
        ("-envdelta A-B [FILE]", "what differs between two that were kept"),
        ("-refdb2dat DIR", "a directory of sheets in another form"),
    ),
    "making and mending": (
        ("-create-megatest-area", "make a new area; asks for its keys"),
        ("-create-test NAME", "make a new test; asks for its steps"),
        ("-import-megatest.db, -sync-to-megatest.db", "take records from megatest.db, or write them there"),
        ("-rebuild-db, -cleanup-db", "make the databases from the journals again; tidy them"),
        ("-server HOST, -list-servers, -kill-servers", "there are none, and none are needed"),
        ("-ping HOST:PORT", "0 when something listens there, else 1"),
    ),
    "messages": (
        ("-debug N, -debug N,M,...", "messages up to level N, or of these levels; also MT_DEBUG_MODE"),
        ("-debug-noprop N", "the same, not for the tests"),
        ("-log FILE", "messages go there"),
        ("-v", "print the command of mt that does the same"),
    ),
}

#: read, so that old calls go on, and without any effect
UNUSED = (
    "-days -rename-run -to -port -since -run-id -convert-to-norm -convert-to-old -use-db-cache -gui -q -transport"
    " -daemonize -override-timeout -logging -local -obfuscate -syscheck -xterm -no-cache -extract-skeleton"
    " -prepend-contour -area-tag -area -sync-to -pgsync -cache-db -source-db -target-db -prefix-target"
).split()

STATUSES = """\
exit status:
  0   done; also when tests failed (mt run tells by its status)
  1   refused: the area or what was asked cannot be used; -ping: nobody answers
  2   no megatest.config here or above
  3   -target, -runname or -testpatt is missing; -runstep: a code above 2
  4   interrupted, or a test could not be started
  5   called outside of a test what is meant for inside
  6   -step or -test-status without state and status; -runstep without a command
  50  the records cannot be read or written
"""

SCHEME = "Scheme programs have no meaning here any more"


def text() -> str:
    """The whole help."""
    from mt.pages import entries

    blocks = [HEAD, *(f"{heading}:\n{entries(pairs, 79)}" for heading, pairs in GROUPS.items())]
    return "\n".join([*blocks, "accepted, without effect:\n" + _unused(), STATUSES])


def _unused() -> str:
    import textwrap

    return (
        textwrap.fill(" ".join(UNUSED), 79, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False) + "\n"
    )


def show(args: Args, talk: Talk) -> int:
    """The help, asked for: on standard output (A2, A11)."""
    sys.stdout.write(text())
    return 0


def nothing(args: Args, talk: Talk) -> int:
    """No action: the same text on standard error, and no failure (A11)."""
    sys.stderr.write(text())
    return 0


def version(args: Args, talk: Talk) -> int:
    """`1.6506-xxxx`: the version that this command line is that of, and four characters that tell ours (A11)."""
    import binascii

    from mt import __version__

    print(f"1.6506-{binascii.crc32(__version__.encode()) & 0xFFFF:04x}")
    return 0


def manual(args: Args, talk: Talk) -> int:
    """Where the manual is, one page a line."""
    import os

    from mt.pages import page_file

    suite = page_file("mt")
    if suite is None:
        raise Refused(1, "the manual is not installed; megatest -h and mt help are")
    own = os.path.join(os.path.dirname(suite), "megatest.1")
    for path in (own, suite):
        if os.path.exists(path):
            print(path)
    talk.info(0, "man megatest shows it; mt help shows the manual of mt")
    return 0


def meaningless(args: Args, talk: Talk) -> int:
    """-repl and -load: says what takes their place."""
    if args.has("-load"):
        raise Refused(2, f"-load {args.value('-load')}: {SCHEME}; call mt from a script: mt tests -f ndjson")
    raise Refused(2, f"-repl: {SCHEME}; mt shell gives a shell with what an area knows")
