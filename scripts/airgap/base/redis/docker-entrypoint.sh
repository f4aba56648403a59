#!/bin/sh
set -e

# Options or a configuration file alone mean redis-server.
case ${1:-} in
-* | *.conf) set -- redis-server "$@" ;;
esac

# As root: the data becomes redis's, and so does the process.
case $1 in
redis-server | redis-sentinel)
  if [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec gosu redis "$0" "$@"
  fi
  ;;
esac

# Data of a database is nobody else's to read, unless somebody chose otherwise.
if [ "$(umask)" = 0022 ]; then umask 0077; fi

exec "$@"
