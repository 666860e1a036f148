//go:build !kubectl

package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// What an API-server test needs besides kubectl.
func init() {
	applets["etcd"] = func() { etcdmain.Main(os.Args) }
	applets["kube-apiserver"] = func() { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) }
}
