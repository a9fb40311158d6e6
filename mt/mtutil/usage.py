"""The help of `mtutil`."""

from __future__ import annotations

TEXT = """\
mtutil: control many areas by packets

Usage: mtutil ACTION [OPTIONS]

Write a packet; nothing is executed until it is dispatched:
  run, remove, rerun, set-ss, archive, kill, list      all need -area

Packets:
  import                   take the packet files into pkts.db
  rungen                   make packets from the rules of runconfigs.config that are due
  dispatch                 start a megatest command for each packet that has no answer
  process                  import, rungen, import, dispatch
  gendot                   write out.dot, a graph of all packets

Other:
  show SECTION             a section of megatest.config: areas, contours, setup, ...
  db pgschema              the tables of the old database for PostgreSQL
  db sqlite3schema         the same for SQLite
  tsend MESSAGE            send a message to all of [listeners]
  tlisten PORT             run [listener] script for each message

Options:
  -area A                  the area, a name in [areas]
  -target K1/K2            the target
  -run-name N              the run name; for run made from the time when not given
  -test-patt P             tests and items, % is the wildcard
  -item-patt P             items
  -mode-patt KEY           the variable of runconfigs.config that has the test pattern
  -tag-expr T1,T2%         tests by tags
  -state S1,S2             only tests with these states
  -status S1,S2            only tests with these statuses; for rerun, those that run again
  -new STATE/STATUS        for set-ss; for archive save, save-remove, keep-html or restore
  -contour C               the contour
  -prepend-contour         put the contour before the target
  -preclean                remove old data of a test first
  -rerun-all               run again whatever has passed
  -set-vars A=1,B=2        variables for the tests, below those of the config files
  -append-config F         a file read after megatest.config
  -config F                another file in place of megatest.config
  -sync-to DB              where sync copies to
  -msg TEXT                a comment
  -start-dir D             work in the area of this directory
  -log F                   append all output to a file
  -h                       this help, exit status 1
"""
