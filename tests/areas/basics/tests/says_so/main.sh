#!/usr/bin/env bash
# steps by hand, then a verdict by hand: the exit code counts no more
$MT_MEGATEST -step one :state start :status n/a
echo working
$MT_MEGATEST -step one :state end :status 0
$MT_MEGATEST -step two :state start :status n/a -m "second"
$MT_MEGATEST -step two :state end :status 1 -setlog two.html
echo "<b>two</b>" > two.html
megatest -test-status :state COMPLETED :status WARN -m "not so good"
exit 1
