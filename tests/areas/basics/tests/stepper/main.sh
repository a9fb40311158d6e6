#!/usr/bin/env bash
# a step that is run for us, with rules
cat > load.logpro <<'EOF'
(expect:error in "LogFileBody" = 0 "no errors" #/error/i)
EOF
$MT_MEGATEST -runstep load -logpro load.logpro "echo all is well" || exit 3
$MT_MEGATEST -test-status :state COMPLETED :status 0
