#!/bin/bash
# Every run directory of this run is below $MT_LINKTREE/$MT_TARGET/$MT_RUNNAME.
set -eu
run=$MT_LINKTREE/$MT_TARGET/$MT_RUNNAME
cat "$run"/greet/greet.log "$run"/count/*/count.log > collected.txt
echo "collected $(wc -l < collected.txt) lines from $(ls -d "$run"/count/*/ | wc -l) counts"
