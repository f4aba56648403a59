#!/bin/sh
# Lets the untouched default server listen on IPv6 as well, where the machine has it.
set -e
conf=/etc/nginx/conf.d/default.conf

[ -f /proc/net/if_inet6 ] && [ -f "$conf" ] && [ -w "$conf" ] || exit 0
# A configuration of the user's own is left alone.
grep -q 'listen  *\[::\]' "$conf" && exit 0
[ "$(md5sum <"$conf")" = "$(md5sum </usr/share/nginx/default.conf.orig)" ] || exit 0
sed -i 's,listen  *80;,listen       80;\n    listen  [::]:80;,' "$conf"
