//go:build !kubectl && !envtest

package main

// The pod network of a kind cluster, in the place of kind's own kindnetd, whose
// source is not a Go module. It takes the same environment (HOST_IP, POD_SUBNET)
// and does the same work on each node: write the CNI configuration, keep a route
// to every other node's pods, masquerade what leaves the pod network.

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	cniFile  = "/etc/cni/net.d/10-kindnet.conflist"
	conflist = `{
  "cniVersion": "0.3.1",
  "name": "kindnet",
  "plugins": [
    {"type": "ptp", "ipMasq": false, "mtu": %d,
     "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
              "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": %q}]]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`
)

// A node joins or leaves seldom; two seconds keep a new node's pods waiting little.
const networkResync = 2 * time.Second

func runNetwork() {
	host, subnet := os.Getenv("HOST_IP"), os.Getenv("POD_SUBNET")
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	written := ""
	for ; ; time.Sleep(networkResync) {
		nodes, err := client.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			log.Printf("list nodes: %v", err)
			continue
		}
		if err := ensureMasquerade(subnet); err != nil {
			log.Print(err)
		}
		for i := range nodes.Items {
			node := &nodes.Items[i]
			address, pods := internalIP(node), node.Spec.PodCIDR
			if address == "" || pods == "" || strings.Contains(pods, ":") {
				continue
			}
			if address != host {
				if err := ensureRoute(pods, address); err != nil {
					log.Print(err)
				}
			} else if written != pods {
				if err := writeCNI(pods, mtu(host)); err != nil {
					log.Fatal(err)
				}
				written = pods
			}
		}
	}
}

func internalIP(node *corev1.Node) string {
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}

// writeCNI is atomic, since the container runtime watches the folder.
func writeCNI(pods string, mtu int) error {
	aside := "/etc/cni/net.d/.kindnet.tmp"
	if err := os.WriteFile(aside, fmt.Appendf(nil, conflist, mtu, pods), 0o644); err != nil {
		return err
	}
	log.Printf("pods of this node: %s", pods)
	return os.Rename(aside, cniFile)
}

func ensureRoute(pods, via string) error {
	_, destination, err := net.ParseCIDR(pods)
	if err != nil {
		return err
	}
	if err := netlink.RouteReplace(&netlink.Route{Dst: destination, Gw: net.ParseIP(via)}); err != nil {
		return fmt.Errorf("route %s via %s: %w", pods, via, err)
	}
	return nil
}

func ensureMasquerade(subnet string) error {
	_ = iptables("-N", "KIND-MASQ-AGENT") // fails when it is there already
	for _, rule := range [][]string{
		{"POSTROUTING", "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", "KIND-MASQ-AGENT"},
		{"KIND-MASQ-AGENT", "-d", subnet, "-j", "RETURN"},
		{"KIND-MASQ-AGENT", "-j", "MASQUERADE"},
	} {
		if iptables(append([]string{"-C"}, rule...)...) == nil {
			continue
		}
		if err := iptables(append([]string{"-A"}, rule...)...); err != nil {
			return err
		}
	}
	return nil
}

func iptables(args ...string) error {
	out, err := exec.Command("iptables", append([]string{"-w", "5", "-t", "nat"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %v: %w: %s", args, err, out)
	}
	return nil
}

func mtu(ip string) int {
	links, _ := netlink.LinkList()
	for _, link := range links {
		addresses, _ := netlink.AddrList(link, netlink.FAMILY_V4)
		for _, a := range addresses {
			if a.IP.String() == ip {
				return link.Attrs().MTU
			}
		}
	}
	return 1500
}
