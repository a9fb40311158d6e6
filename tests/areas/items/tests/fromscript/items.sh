#!/bin/sh
echo "N" $(seq $1 $2)
