#!/bin/sh
echo x > made_before
exit 2
