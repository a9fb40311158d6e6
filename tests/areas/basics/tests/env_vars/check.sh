#!/usr/bin/env bash
bad=0
is() { # name wanted
  if [ "${!1-unset}" != "$2" ]; then echo "$1 is '${!1-unset}', not '$2'"; bad=1; fi
}
is SOMEVAR "target wins"
is COMBINED "target wins, combined"
is FROMSHELL "one two"
is WHO "The$USER/there"
is VARNOVAL ""
is VARNOVAL_WITHSPACE ""
is EMPTY_VAR ""
is LATE "wins over target wins"
is SPECIAL_ENV_VARS prelaunch
is MT_TARGET ubuntu/nfs
is SYSTEM ubuntu
is FSTYPE nfs
is MT_TEST_NAME env_vars
is MT_ITEMPATH $A/$B
is MT_ITEM_INFO "((A $A) (B $B))"
is MT_TESTSUITENAME basics
is MT_LINKTREE $MT_RUN_AREA_HOME/links
is MT_TEST_RUN_DIR $MT_LINKTREE/ubuntu/nfs/$MT_RUNNAME/env_vars/$A/$B
[ -n "$MT_CMDINFO" ] || bad=1
[ "$(grep -c '^export VARNOVAL=' megatest.sh)" = 1 ] || { echo VARNOVAL; bad=1; }
[ "$(grep -c '^export VARNOVAL_WITHSPACE=' megatest.sh)" = 1 ] || { echo WITHSPACE; bad=1; }
grep -q '^# export HOME=' megatest.sh || { echo HOME; bad=1; }
( unset SOMEVAR; . ./megatest.sh; is SOMEVAR "target wins"; exit $bad ) || bad=1
exit $bad
