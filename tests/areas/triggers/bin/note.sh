#!/bin/sh
# WORD ID RUNDIR KEY TEST ITEM STATE STATUS TIME: one file for each call, made in one step
file=$MT_RUN_AREA_HOME/notes/$1.$5.$(echo "$6" | tr / _)
mkdir -p $MT_RUN_AREA_HOME/notes
echo "$4 $5 [$6] $7 $8" > $file.$$ && mv $file.$$ $file
