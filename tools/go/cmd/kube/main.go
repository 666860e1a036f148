// kube is Kubernetes as one program that acts by the name it is called by:
// kube-apiserver, etcd, kubelet, kubectl and the rest. The parts share most of
// their code, so one link takes the place of nine and one file the place of a
// gigabyte. Build tags leave parts out: `envtest` keeps what an API-server test
// needs, `kubectl` keeps kubectl.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

// applets is filled by the init functions of the files that are built in.
var applets = map[string]func(){"kubectl": runKubectl}

func main() {
	name := filepath.Base(os.Args[0])
	if name == "kube" && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	run, known := applets[name]
	if !known {
		names := slices.Sorted(maps.Keys(applets))
		fmt.Fprintf(os.Stderr, "usage: kube {%s} ...\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	run()
}

func runKubectl() {
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
