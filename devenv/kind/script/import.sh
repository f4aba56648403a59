# import.sh REF [FLAG…]: imports the archive on standard input and prints REF if the node then holds it complete and unpacked. Where it
# does not, the reference goes: the kubelet would take it for an image that is there.
ref=$1
shift
images import --snapshotter="$snapshotter" "$@" - >&2
status=$?
if [ "$status" -eq 0 ] && [ "$(held "$ref")" = "$ref" ]; then
	echo "$ref"
	exit 0
fi
images rm "$ref" >/dev/null 2>&1
[ "$status" -ne 0 ] || echo "the image is not complete after its import" >&2
exit 1
