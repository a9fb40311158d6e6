#!/usr/bin/env bash
$MT_MEGATEST -load-test-data << EOF
foo,bar, $VALUE , 1.0 , 0.2 , MHz, measured
foo,rab, 1.0e9, 10e9, >= , , no verdict without numbers
foo,note, text, other, x, , words give no verdict
EOF
$MT_MEGATEST -load-test-data << EOF
foo,rab, 12e9, 10e9, >= ,
EOF
$MT_MEGATEST -test-status :state COMPLETED :status AUTO
