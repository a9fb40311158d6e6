#!/bin/bash
# Count to $COUNT_TO in $LANGUAGE and tell mt how far it got; AUTO makes the value count.
case $LANGUAGE in
    english) words=(one two three) ;;
    french) words=(un deux trois) ;;
    german) words=(eins zwei drei) ;;
    *) echo "error: cannot count in '$LANGUAGE'"; exit 1 ;;
esac
for ((n = 1; n <= COUNT_TO; n++)); do
    echo "${words[n - 1]:-$n}"
done
mt value numbers=$((n - 1)) --expect "$COUNT_TO"
mt result AUTO -m "$LANGUAGE: $((n - 1)) numbers"
echo "done: $((n - 1)) numbers"
