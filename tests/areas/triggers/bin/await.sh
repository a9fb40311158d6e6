#!/bin/sh
# wait for a note at most some seconds, then show it
n=0
until [ -e $MT_RUN_AREA_HOME/notes/$1 ] || [ $n = 80 ]; do n=$((n + 1)); sleep 0.1; done
cat $MT_RUN_AREA_HOME/notes/$1
