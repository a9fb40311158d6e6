#!/bin/sh
case $1 in
  *many) echo 5000 ;;
  *) echo 1000 ;;
esac
