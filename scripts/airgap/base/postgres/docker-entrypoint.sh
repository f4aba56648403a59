#!/usr/bin/env bash
# Prepares the database on the first start, then becomes the server.
# Understands POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS (each also as *_FILE),
# POSTGRES_INITDB_WALDIR, POSTGRES_HOST_AUTH_METHOD, PGDATA and the scripts in /docker-entrypoint-initdb.d.
set -Eeo pipefail

# from_file NAME [DEFAULT]: the variable's value may be in the file that NAME_FILE names instead, as secrets are.
from_file() {
  local name=$1 file=$1_FILE
  if [[ -n ${!name:-} && -n ${!file:-} ]]; then
    echo >&2 "error: both $name and $file are set (only one can be)"
    exit 1
  fi
  if [[ -n ${!file:-} ]]; then
    export "$name=$(<"${!file}")"
  else
    export "$name=${!name:-${2:-}}"
  fi
  unset "$file"
}

make_directories() {
  mkdir -p "$PGDATA"
  chmod 00700 "$PGDATA" || true
  mkdir -p /var/run/postgresql && chmod 03775 /var/run/postgresql || true
  if [[ -n ${POSTGRES_INITDB_WALDIR:-} ]]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    chmod 700 "$POSTGRES_INITDB_WALDIR"
  fi
  if [[ $(id -u) == 0 ]]; then
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
    [[ -z ${POSTGRES_INITDB_WALDIR:-} ]] || find "$POSTGRES_INITDB_WALDIR" \! -user postgres -exec chown postgres '{}' +
  fi
}

refuse_without_password() {
  if [[ -n $POSTGRES_PASSWORD || $POSTGRES_HOST_AUTH_METHOD == trust ]]; then
    [[ $POSTGRES_HOST_AUTH_METHOD != trust ]] ||
      echo >&2 "warning: POSTGRES_HOST_AUTH_METHOD is trust: anyone who reaches the port gets in, without a password"
    return
  fi
  echo >&2 "Error: Database is uninitialized and superuser password is not specified.
       Set POSTGRES_PASSWORD to a non-empty value for the superuser, for example
       \"-e POSTGRES_PASSWORD=password\" on \"docker run\".
       POSTGRES_HOST_AUTH_METHOD=trust allows all connections without a password; that is not recommended."
  exit 1
}

create_cluster() {
  # initdb wants to know who runs it: a user id without an entry in passwd gets one for this moment.
  local uid passwd group arguments=()
  uid=$(id -u)
  if ! getent passwd "$uid" >/dev/null; then
    passwd=$(mktemp) group=$(mktemp)
    echo "postgres:x:$uid:$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$passwd"
    echo "postgres:x:$(id -g):" >"$group"
    export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=$passwd NSS_WRAPPER_GROUP=$group
  fi
  [[ -z ${POSTGRES_INITDB_WALDIR:-} ]] || arguments+=(--waldir "$POSTGRES_INITDB_WALDIR")
  # POSTGRES_INITDB_ARGS is a command line, quotes included.
  eval "initdb --username=\"\$POSTGRES_USER\" --pwfile=<(printf '%s\n' \"\$POSTGRES_PASSWORD\") \"\${arguments[@]}\" $POSTGRES_INITDB_ARGS \"\$@\""
  if [[ -n ${passwd:-} ]]; then
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    rm -f "$passwd" "$group"
  fi
}

allow_connections() {
  local method=$POSTGRES_HOST_AUTH_METHOD
  [[ -n $method ]] || method=$(postgres -C password_encryption "$@")
  {
    echo
    [[ $method != trust ]] || echo '# POSTGRES_HOST_AUTH_METHOD=trust: every connection is let in without a password.'
    echo "host all all all $method"
  } >>"$PGDATA/pg_hba.conf"
}

# The server of the preparation listens on its socket only: nobody outside takes it for ready.
temporary_server() {
  case $1 in
  start) shift; NOTIFY_SOCKET='' PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@" -c listen_addresses='' -p "${PGPORT:-5432}")" -w start ;;
  stop) PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop ;;
  esac
}

# Also for sourced scripts of the user, which may call it by this name.
docker_process_sql() {
  local query=(psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc)
  [[ -z ${POSTGRES_DB:-} ]] || query+=(--dbname "$POSTGRES_DB")
  PGHOST='' PGHOSTADDR='' "${query[@]}" "$@"
}

create_database() {
  local there
  there=$(POSTGRES_DB='' docker_process_sql --dbname postgres --set db="$POSTGRES_DB" --tuples-only <<<"SELECT 1 FROM pg_database WHERE datname = :'db';")
  if [[ -z $there ]]; then
    POSTGRES_DB='' docker_process_sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    printf '\n'
  fi
}

run_init_files() {
  local file
  printf '\n'
  for file; do
    case $file in
    *.sh)
      if [[ -x $file ]]; then
        printf '%s: running %s\n' "$0" "$file"
        "$file"
      else
        printf '%s: sourcing %s\n' "$0" "$file"
        # shellcheck disable=SC1090
        . "$file"
      fi
      ;;
    *.sql) printf '%s: running %s\n' "$0" "$file"; docker_process_sql -f "$file"; printf '\n' ;;
    *.sql.gz) printf '%s: running %s\n' "$0" "$file"; gunzip -c "$file" | docker_process_sql; printf '\n' ;;
    *.sql.xz) printf '%s: running %s\n' "$0" "$file"; xzcat "$file" | docker_process_sql; printf '\n' ;;
    *.sql.zst) printf '%s: running %s\n' "$0" "$file"; zstd -dc "$file" | docker_process_sql; printf '\n' ;;
    *) printf '%s: ignoring %s\n' "$0" "$file" ;;
    esac
  done
}

prepare() {
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  from_file POSTGRES_INITDB_ARGS
  : "${POSTGRES_HOST_AUTH_METHOD:=}"

  if [[ -s $PGDATA/PG_VERSION ]]; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    return
  fi

  refuse_without_password
  # Scripts that cannot be read must fail now, not after the database exists.
  ls /docker-entrypoint-initdb.d/ >/dev/null
  create_cluster
  allow_connections "$@"
  export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
  temporary_server start "$@"
  create_database
  local files=()
  shopt -s nullglob
  files=(/docker-entrypoint-initdb.d/*)
  shopt -u nullglob
  run_init_files "${files[@]}"
  temporary_server stop
  unset PGPASSWORD
  printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

# asks_only ARGS…: the command prints something and ends, so it needs no database.
asks_only() {
  local argument
  for argument; do
    case $argument in
    -'?' | --help | --describe-config | -V | --version) return 0 ;;
    esac
  done
  return 1
}

main() {
  # Options alone mean the server.
  if [[ ${1:0:1} == - ]]; then set -- postgres "$@"; fi
  if [[ ${1:-} == postgres ]] && ! asks_only "$@"; then
    make_directories
    # PostgreSQL refuses to run as root.
    if [[ $(id -u) == 0 ]]; then exec gosu postgres "${BASH_SOURCE[0]}" "$@"; fi
    prepare "${@:2}"
  fi
  exec "$@"
}

main "$@"
