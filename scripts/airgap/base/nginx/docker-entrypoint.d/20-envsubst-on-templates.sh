#!/bin/sh
# Fills the environment into /etc/nginx/templates/*.template and writes the results to /etc/nginx/conf.d.
# Only variables that exist are replaced, so nginx's own ($host, $uri) stay.
set -e

templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
filter=${NGINX_ENVSUBST_FILTER:-}

say() { [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "$0: $*"; }

[ -d "$templates" ] || exit 0
if [ ! -w "$output" ]; then
  say "ERROR: $templates exists, but $output cannot be written"
  exit 0
fi

names=$(awk -v filter="$filter" 'BEGIN { for (name in ENVIRON) if (name ~ /^[A-Za-z_][A-Za-z0-9_]*$/ && name ~ filter) printf "${%s} ", name }' </dev/null)
find "$templates" -follow -type f -name "*$suffix" | while IFS= read -r template; do
  relative=${template#"$templates/"}
  target=$output/${relative%"$suffix"}
  mkdir -p "$(dirname "$target")"
  say "$template -> $target"
  envsubst "$names" <"$template" >"$target"
done
