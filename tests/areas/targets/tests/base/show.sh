#!/usr/bin/env bash
# what each target should see, written down once more (a #f at the end is a comment of the shell)
case $MT_TARGET in
  linux/v1.65/dev)
    want="own yes yes own abc|INFO own|a b|wild|linux-v1.65-dev|own" ;;
  linux/v2/prod)
    want="linux yes  |||wild|linux-v2-prod|linux" ;;
  linux/v2/test)
    want="included yes  |||wild|linux-v2-test|included" ;;
  other/v2/prod)
    want="default   ||||other-v2-prod|default" ;;
esac
got="$LEVEL $WILD $REGEX $OWN_RGET|$OWN_SYSTEM|$OWN_SHELL|$LAST|$PARTS|$AGAIN"
echo "got:  $got"
echo "want: $want"
[ "$got" = "$want" ]
