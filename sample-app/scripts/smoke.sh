#!/usr/bin/env bash
# Enrols a student through the web page and finds the grade again, which takes
# every part of the platform: nginx, PHP, Redis, the queue worker, the grades
# service, PostgreSQL and the recommender.
#
#   BASE_URL  where the web pages are, http://127.0.0.1:8080 by default
#   STUDENT   a name to use instead of a new one; to enrol twice changes nothing
#   TIMEOUT   seconds for each wait, 60 by default
#
# Exits with 0 when everything was found, else with 1 and what was missing.
set -euo pipefail

base_url="${BASE_URL:-http://127.0.0.1:8080}"
base_url="${base_url%/}"
timeout="${TIMEOUT:-60}"
student="${STUDENT:-Smoke $(date -u +%Y%m%d-%H%M%S)-$$-$RANDOM}"
course=go-services

page="$(mktemp)"
trap 'rm -f "$page"' EXIT

say() { printf '%s\n' "$*"; }

fail() {
    say "FAILED: $*" >&2
    say "--- the last answer of the web page:" >&2
    if grep --quiet '<main>' "$page"; then
        sed '1,/<main>/d; /<\/main>/,$d' "$page" >&2
    else
        head -c 1500 "$page" >&2
    fi
    say "--- what the platform says about its parts ($base_url/status):" >&2
    curl --silent --show-error --max-time 10 "$base_url/status" 2>&1 |
        sed -n 's/.*data-part="\([^"]*\)" data-ok="\([^"]*\)".*<td>\([^<]*\)<\/td><\/tr>.*/\1: \2, \3/p; /^curl:/p' >&2 || true
    exit 1
}

# fetch PATH [CURL-ARGUMENT…]: the body goes to $page, the status to $status ("000" without an answer).
fetch() {
    local path="$1"
    shift
    : >"$page"
    status="$(curl --silent --max-time 10 --output "$page" --write-out '%{http_code}' "$@" "$base_url$path" || true)"
}

# until_found SECONDS PATTERN PATH [CURL-ARGUMENT…]: asks until a page with status 200 has the text.
until_found() {
    local deadline=$((SECONDS + $1)) pattern="$2"
    shift 2
    while :; do
        fetch "$@"
        if [[ "$status" == 200 ]] && grep --quiet --fixed-strings -- "$pattern" "$page"; then
            return 0
        fi
        if ((SECONDS >= deadline)); then
            return 1
        fi
        sleep 0.3
    done
}

say "courses: from PostgreSQL through the grades service to the page at $base_url/"
until_found "$timeout" "data-course=\"$course\"" / ||
    fail "the page does not list the course $course within $timeout s (status $status)"

say "static files: from nginx"
until_found 10 "font:" /static/style.css || fail "no style sheet (status $status)"

say "enrolment: '$student' in $course, through the form into the queue"
location=""
deadline=$((SECONDS + timeout))
while :; do
    : >"$page"
    read -r status location < <(curl --silent --max-time 10 --output "$page" \
        --write-out '%{http_code} %{redirect_url}\n' \
        --data-urlencode "student=$student" --data-urlencode "course=$course" \
        "$base_url/enrol" || true)
    [[ "$status" == 303 ]] && break
    # Redis may still be starting; to enrol again is harmless.
    if [[ "$status" != 000 && "$status" != 5* ]] || ((SECONDS >= deadline)); then
        fail "the form was not taken (status $status, want 303)"
    fi
    sleep 0.3
done
[[ "$location" == */grades\?student=* ]] || fail "the form leads to '$location', not to the student's grades"

say "grade: by the worker to the grades service, into PostgreSQL and back to the page"
until_found "$timeout" "data-course=\"$course\" data-grade=\"" /grades --get --data-urlencode "student=$student" ||
    fail "no grade for '$student' within $timeout s (status $status): is the worker running?"
grade="$(sed -n "s/.*data-course=\"$course\" data-grade=\"\([A-F]\)\".*/\1/p" "$page")"
[[ -n "$grade" ]] || fail "the grade is not a letter from A to F"

say "suggestions: from the recommender, which asks the grades service"
until_found "$timeout" "data-suggestion=\"" /grades --get --data-urlencode "student=$student" ||
    fail "no suggestions within $timeout s (status $status): is the recommender running?"
if grep --quiet --fixed-strings "data-suggestion=\"$course\"" "$page"; then
    fail "the course that the student takes is suggested again"
fi

say "status: every part answers"
until_found "$timeout" 'data-part="recommender" data-ok="yes"' /status || fail "a part does not answer (status $status)"

say "passed: '$student' has grade $grade in $course"
