# Runs in a node: sh -c "<this, then one of the others>" sh ARGUMENT…

# The snapshotter that containerd uses for pods, which is not overlayfs on every file system.
snapshotter=$(sed -n 's/^[[:space:]]*snapshotter = "\(.*\)"$/\1/p' /etc/containerd/config.toml | head -n 1)
snapshotter=${snapshotter:-overlayfs}

images() { ctr --namespace=k8s.io images "$@"; }

# held REF…: prints those of the references that are complete and unpacked. One that is not makes ctr fail as well, after it has
# printed the others.
held() {
	for ref in "$@"; do
		shift
		set -- "$@" "name==\"$ref\""
	done
	images check --quiet --snapshotter="$snapshotter" "$@"
}
