// Command etcd is the etcd server of the version in go.mod. It exists because etcd's own main package cannot be installed
// by version: its module replaces others by folders of its own repository.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
