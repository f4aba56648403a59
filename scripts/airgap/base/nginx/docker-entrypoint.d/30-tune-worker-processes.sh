#!/bin/sh
# NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE: as many workers as the container's CPU limit allows.
set -e
[ -n "${NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE:-}" ] || exit 0
conf=/etc/nginx/nginx.conf
[ -w "$conf" ] || exit 0

cpus=$(nproc)
if [ -r /sys/fs/cgroup/cpu.max ]; then
  read -r quota period </sys/fs/cgroup/cpu.max
elif [ -r /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
  read -r quota </sys/fs/cgroup/cpu/cpu.cfs_quota_us
  read -r period </sys/fs/cgroup/cpu/cpu.cfs_period_us
else
  quota=max period=100000
fi
case $quota in
max | -1) ;;
*)
  limit=$(((quota + period - 1) / period))
  [ "$limit" -ge "$cpus" ] || cpus=$limit
  ;;
esac
[ "$cpus" -ge 1 ] || cpus=1
sed -i "s/^\(worker_processes\)[[:space:]].*;/\1 $cpus;/" "$conf"
