#!/bin/sh
# tom has two disks, of which the one with more space; bob two of a size, the first; fred none of his own
case $PROVIDER in
  tom) place=many ;;
  bob) place=few ;;
  fred) place=area_disk ;;
esac
echo $PWD
test "$PWD" = "$MT_RUN_AREA_HOME/$place/x/$MT_RUNNAME/own_disks/$PROVIDER"
