#!/bin/sh
echo "some error" | logpro rules.logpro page.html > annotated.txt
code=$?
grep -q LOGPRO annotated.txt || exit 5
grep -q 'EXIT CODE: 2' page.html || exit 6
test $code = 2
