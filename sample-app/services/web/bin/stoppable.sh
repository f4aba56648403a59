#!/bin/sh
# Usage: stoppable.sh SCRIPT.php
#
# Runs a PHP script that works until the file STOP_FILE appears, and creates
# that file on SIGTERM or SIGQUIT. The official PHP image has no pcntl extension,
# so PHP cannot catch signals, and as process 1 of a container it would not even
# die of them: every rollout would wait for the kill at the end of the grace period.
set -eu
STOP_FILE="${STOP_FILE:-/tmp/stop}"
export STOP_FILE
rm -f "$STOP_FILE"

php "$@" &
child=$!
trap 'touch "$STOP_FILE"' TERM QUIT INT

# A signal ends wait early; go on until the script itself has ended.
status=0
wait "$child" || status=$?
while kill -0 "$child" 2>/dev/null; do
    status=0
    wait "$child" || status=$?
done
exit "$status"
