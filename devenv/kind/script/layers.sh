# layers.sh DIFFID…: prints the blobs of this node's content store that hold one of these layers, one a line: digest, bytes, the first four bytes in
# hexadecimal, labels. Fails only if containerd does not answer.
store=/var/lib/containerd/io.containerd.content.v1.content/blobs
all=$(ctr --namespace=k8s.io content ls) || exit 1
echo "$all" | grep -F "$(printf 'containerd.io/uncompressed=%s\n' "$@")" | while read -r digest rest; do
	blob=$store/$(echo "$digest" | tr : /)
	echo "$digest $(stat -c %s "$blob") $(head -c 4 "$blob" | od -A n -t x1 | tr -d ' ') ${rest##*[[:space:]]}"
done
true
