#!/usr/bin/env bash
exit 123
