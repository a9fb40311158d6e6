"""run many dependent tests or jobs, and remember what happened

`mt` runs thousands of shell-step tests that depend on each other, on one machine or on a batch system, and keeps what
happened where small commands can ask for it.  A test may be any job: a simulation, a build, a flow, a check of data.

An *area* is a directory with a `megatest.config`.  Its `tests/NAME/testconfig` files say what the tests are: steps,
items, and what waits on what.  A *run* is a target (such as `ubuntu/nfs`) and a name; a *case* is one test and item of
a run.  Everything has one id, which is printed, and accepted wherever something is named:

    TARGET//RUN//TEST/ITEM

A prefix names the wider thing; `%` and `*` are wildcards.

What is said of a case is kept as lines in journals, and databases are made from these: killing any of our processes at
any moment loses nothing that was said, and the same command again goes on from there.

COMMON OPTIONS

    -C DIR     work in the area at or above DIR; also before the verb
    -t TARGET  the target
    -r RUN     the run
    -j N       at most N at once
    -f FORMAT  how rows are written: table, tsv, csv, json, ndjson, ids, paths
    -o FILE    write to FILE
    -n         only say what would change
    -q         say nothing when all is well
    -v         say why
    -          as an operand: ids or NDJSON rows come on standard input, one per line

EXAMPLES

    $ mt run -t ubuntu/nfs -r w49.1
    Run all tests for a target and wait; the exit status is the verdict.

    $ mt tests -r w49.1 -s FAIL -f ids | mt rerun -n -
    What running the failed ones again would do.

    $ mt help all
    Every verb with one line.

EXIT STATUS

    0  done, and good
    1  done, and the answer is no: tests failed, differences were found
    2  the command line cannot be understood
    3  the files of the area say something that cannot be done
    4  somebody else holds what is needed
    5  the store or a file cannot be used
    6  a job or server cannot be started, or there is no server where one is needed
    7  nothing is selected
    8  unfinished: nothing failed, but lost, infrastructure or blocked cases remain
    9  not permitted
    130  interrupted
    141  the reader of the output went away

FILES

    megatest.config        the area: keys, disks, limits, launchers
    runconfigs.config      variables for each target
    tests/NAME/testconfig  a test
    .mtdb/                 journals, databases, locks

SEE ALSO

    mt-help(1), mt-run(1), mt-tests(1), mt-status(7), mt-environment(7)
"""
