#!/bin/sh
# Prepares the configuration by what is in /docker-entrypoint.d, then becomes the command.
set -e

say() { [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "$0: $*"; }

case $1 in
nginx | nginx-debug)
  if [ -n "$(find /docker-entrypoint.d/ -mindepth 1 -follow -type f 2>/dev/null | head -n 1)" ]; then
    say "running what is in /docker-entrypoint.d/"
    # In the order of their names, and not in a pipe: what a sourced script exports must reach nginx.
    list=$(find /docker-entrypoint.d/ -follow -type f | sort -V)
    oldifs=$IFS
    IFS='
'
    for script in $list; do
      IFS=$oldifs
      case $script in
      *.envsh)
        if [ -x "$script" ]; then say "sourcing $script"; . "$script"; else say "ignoring $script, it is not executable"; fi ;;
      *.sh)
        if [ -x "$script" ]; then say "running $script"; "$script"; else say "ignoring $script, it is not executable"; fi ;;
      *) say "ignoring $script, it is neither *.sh nor *.envsh" ;;
      esac
    done
    IFS=$oldifs
    say "configuration complete; ready for start up"
  else
    say "nothing in /docker-entrypoint.d/, leaving the configuration as it is"
  fi
  ;;
esac

exec "$@"
