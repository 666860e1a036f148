//go:build !kubectl && !envtest

package main

import (
	"context"
	"os"

	"k8s.io/component-base/cli"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// What a node of a kind cluster needs besides the API server: the other parts of
// Kubernetes, and small programs of our own where kind's are not Go modules.
func init() {
	applets["kube-controller-manager"] = func() { os.Exit(cli.Run(controllers.NewControllerManagerCommand())) }
	applets["kube-scheduler"] = func() { os.Exit(cli.Run(scheduler.NewSchedulerCommand())) }
	applets["kube-proxy"] = func() { os.Exit(cli.Run(proxy.NewProxyCommand())) }
	applets["kubelet"] = func() { os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background()))) }
	applets["kubeadm"] = func() { kubeadmerrors.HandleError(kubeadm.Run()) }
	applets["kindnetd"] = runNetwork
	applets["local-path-provisioner"] = runStorage
	applets["crictl"] = runCrictl
}
