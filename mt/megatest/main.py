"""`megatest`: read the old words, find the action, do it, end with the old status.

Each action is one function `(args, talk) -> status` in a module of its own
kind, loaded when it is asked for: `megatest -step` must start as fast as
`mt step`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from mt.megatest import words
from mt.megatest.talk import Refused, Talk
from mt.stdio import drop_output, open_standard_files, output_trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mt.megatest.words import Args

#: what the options ask for, in the order in which they win: (options, module, function)
ACTIONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("-h", "-help", "--help"), "usage", "show"),
    (("-version",), "usage", "version"),
    (("-manual",), "usage", "manual"),
    (("-repl", "-load"), "usage", "meaningless"),
    (
        ("-step", "-test-status", "-runstep", "-set-values", "-load-test-data", "-setlog", "-set-toplog",
         "-summarize-items"), "inside", "tell",
    ),
    (("-show-cmdinfo",), "inside", "show_cmdinfo"),
    (("-recover-test",), "inside", "recover"),
    (("-env2file",), "envs", "to_file"),
    (("-envcap",), "envs", "capture"),
    (("-envdelta",), "envs", "delta"),
    (("-execute",), "child", "execute"),
    (("-ping", "-list-servers", "-kill-servers", "-server"), "servers", "answer"),
    (("-list-targets",), "shows", "targets"),
    (("-list-db-targets",), "shows", "db_targets"),
    (("-list-disks",), "shows", "disks"),
    (("-show-keys", "-showkeys"), "shows", "keys"),
    (("-show-config",), "shows", "config"),
    (("-show-runconfig",), "shows", "runconfig"),
    (("-list-runs",), "listing", "list_runs"),
    (("-test-paths",), "files", "paths"),
    (("-test-files",), "files", "files"),
    (("-testdata-csv",), "tables", "testdata"),
    (("-list-run-time",), "tables", "run_times"),
    (("-list-test-time",), "tables", "test_times"),
    (("-extract-ods",), "reports", "extract_ods"),
    (("-diff-rep",), "reports", "difference"),
    (("-generate-html",), "reports", "html"),
    (("-generate-html-structure",), "reports", "html_structure"),
    (("-refdb2dat",), "refdb", "convert"),
    (("-create-megatest-area",), "creating", "area"),
    (("-create-test",), "creating", "test"),
    (("-update-meta",), "upkeep", "update_meta"),
    (("-import-megatest.db",), "upkeep", "import_db"),
    (("-sync-to-megatest.db",), "upkeep", "sync"),
    (("-rebuild-db",), "upkeep", "rebuild"),
    (("-cleanup-db",), "upkeep", "cleanup"),
    (("-mark-incompletes",), "upkeep", "mark_incompletes"),
    (("-rollup",), "upkeep", "rollup"),
    (("-set-run-status",), "operate", "set_run_status"),
    (("-get-run-status",), "operate", "get_run_status"),
    (("-lock",), "operate", "lock"),
    (("-unlock",), "operate", "unlock"),
    (("-set-state-status",), "operate", "set_state_status"),
    (("-remove-runs",), "removing", "remove_runs"),
    (("-remove-keep",), "removing", "remove_keep"),
    (("-archive",), "removing", "archive"),
    (("-run", "-runall", "-runtests", "-rerun-clean", "-rerun-all"), "running", "run"),
    (("-run-wait",), "running", "wait"),
    (("-clean-cache",), "upkeep", "clean_cache"),
)  # fmt: skip


#: modules whose actions change what is recorded
WRITERS = ("running", "operate", "removing")


def action_of(args: Args) -> tuple[str, str] | None:
    """Module and function for a command line; None when it asks for nothing."""
    for options, module, function in ACTIONS:
        if args.has(*options):
            return module, function
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one old command line."""
    open_standard_files()
    args = words.read(sys.argv[1:] if argv is None else argv)
    return answer(args, Talk(args, os.environ))


def answer(args: Args, talk: Talk) -> int:
    """Do what a command line asks for; errors become lines, and the statuses of spec/runs.md 1.2."""
    from mt.errors import MtError

    try:
        status = _act(args, talk)
        sys.stdout.flush()
        return status
    except Refused as e:
        if e.text:
            talk.error(e.text)
        return e.status
    except MtError as e:
        for line in e.lines():
            talk.error(line)
        return {5: 50, 7: 0}.get(e.status, 1)
    except KeyboardInterrupt:
        talk.say(0, "Received signal 2, cleaning up before exit...")
        return 4
    except BrokenPipeError:
        drop_output()
        return 141
    except OSError as e:
        if e.filename is None and (trouble := output_trouble()):
            talk.error(f"cannot write to standard output: {trouble}")
            return 1
        talk.error(f"cannot use '{e.filename}': {e.strerror}" if e.filename else str(e))
        return 1


def _act(args: Args, talk: Talk) -> int:
    if args.cut:
        return int(import_module("mt.megatest.usage").show(args, talk))
    start = args.value("-start-dir")
    if start is not None:
        try:
            os.chdir(start)
        except OSError as e:
            raise Refused(1, f"non-existant start dir {start} specified, exiting.") from e
    if args.strangers:
        talk.error(f"Unrecognised arguments: {' '.join(args.strangers)}")
    found = action_of(args)
    if found is None:
        return int(import_module("mt.megatest.usage").nothing(args, talk))
    if args.has("-v"):
        from mt.megatest.translate import shown

        talk.say(0, f"mt: {shown(args)}")
    module, function = found
    status = int(getattr(import_module(f"mt.megatest.{module}"), function)(args, talk))
    if module in WRITERS:
        from mt.megatest.upkeep import renew

        renew(args, talk)
    return status
