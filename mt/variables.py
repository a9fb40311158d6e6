"""The environment variables of ours: what each one does (spec/config.md 5.2, spec/features.md 3).

`mt help environment` prints these tables; a test compares them with the
sources and with mt-environment(7), so that no variable is without a word.
"""

from __future__ import annotations

#: read by mt; an option always beats its variable
READ = {
    "MT_AREA": "work in the area at this directory, as -C does",
    "MT_DEBUG_MODE": "how much the old front end says: 0, 1, 2, ...",
    "MT_FORMAT": "the format of rows when no -f is given: table, tsv, csv, json, ndjson, ids or paths",
    "MT_LINKTREE": "root of the link tree, in place of [setup] linktree",
    "MT_PAGER": "the pager of `mt help` and `mt log` on a terminal, before PAGER",
    "MT_RUN_AREA_HOME": "the same as MT_AREA, in old scripts and inside a test",
    "MT_RUNNAME": "the run when no -r is given",
    "MT_SEM_DIR": "where `mt sem` keeps semaphores when no --dir is given, in place of the area",
    "MT_TARGET": "the target when no -t is given",
    "MT_TESTSUITE_NAME": "the area's name when its config gives none",
    "MT_TRACE": "a file to which one JSON line is added for each lock, process, sync and fold",
}

#: set for the steps of a test
GIVEN = {
    "MT_CMDINFO": "opaque; its presence tells the commands made for use in a test that they are in one",
    "MT_ITEMPATH": "the item, empty for a test without items",
    "MT_ITEM_INFO": "the item's variables, as ((NAME value) ...)",
    "MT_LINKTREE": "root of the link tree",
    "MT_MEGATEST": "the program to call back, in old scripts",
    "MT_RUNNAME": "the run's name",
    "MT_RUN_AREA_HOME": "the area's directory",
    "MT_SEM_TOKENS": "under `mt sem`: the numbers of the tokens that are held, as `2` or `1 4`",
    "MT_SSH_JOB": "under the launcher `ssh`: the id of the job, as HOST:PID:START:BOOT",
    "MT_TARGET": "the target, as V1/V2/...; each part is also in the variable of its key",
    "MT_TESTSUITENAME": "the area's name",
    "MT_TEST_NAME": "the test's name",
    "MT_TEST_RUN_DIR": "the run directory of this case, where its steps start",
}
