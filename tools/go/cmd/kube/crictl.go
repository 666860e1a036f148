//go:build !kubectl && !envtest

package main

// The few crictl commands that kind and a person looking into a node use. The
// real crictl would be one more program to compile; its client is in here already.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	cri "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
)

const criSocket = "unix:///run/containerd/containerd.sock"

func runCrictl() {
	if err := crictl(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}

func crictl(args []string) error {
	ctx := context.Background()
	if len(args) == 0 {
		return fmt.Errorf("usage: crictl {images [-o json] | inspecti IMAGE | ps | pods}")
	}
	asJSON := slices.Contains(args, "json")
	switch args[0] {
	case "images", "inspecti":
		images, err := remote.NewRemoteImageService(criSocket, 10*time.Second, nil, nil)
		if err != nil {
			return err
		}
		if args[0] == "inspecti" && len(args) > 1 {
			return inspectImage(ctx, images, args[1])
		}
		return listImages(ctx, images, asJSON)
	case "ps", "pods":
		runtime, err := remote.NewRemoteRuntimeService(criSocket, 10*time.Second, nil, nil)
		if err != nil {
			return err
		}
		if args[0] == "ps" {
			return listContainers(ctx, runtime)
		}
		return listPods(ctx, runtime)
	}
	return fmt.Errorf("%q is not one of images, inspecti, ps, pods", args[0])
}

func inspectImage(ctx context.Context, images cri.ImageManagerService, name string) error {
	response, err := images.ImageStatus(ctx, &runtimeapi.ImageSpec{Image: name}, false)
	if err != nil {
		return err
	}
	if response.Image == nil {
		return fmt.Errorf("no such image %q present", name)
	}
	return printJSON(map[string]any{"status": imageFields(response.Image)})
}

func listImages(ctx context.Context, service cri.ImageManagerService, asJSON bool) error {
	images, err := service.ListImages(ctx, nil)
	if err != nil {
		return err
	}
	if asJSON {
		list := []any{}
		for _, image := range images {
			list = append(list, imageFields(image))
		}
		return printJSON(map[string]any{"images": list})
	}
	return table("IMAGE\tID\tMB", func(row func(...any)) {
		for _, image := range images {
			for _, tag := range image.RepoTags {
				row(tag, short(image.Id[len("sha256:"):]), image.Size/1e6)
			}
		}
	})
}

func listContainers(ctx context.Context, service cri.RuntimeService) error {
	containers, err := service.ListContainers(ctx, nil)
	if err != nil {
		return err
	}
	return table("CONTAINER\tNAME\tSTATE\tPOD", func(row func(...any)) {
		for _, c := range containers {
			row(short(c.Id), c.Metadata.Name, c.State, c.Labels["io.kubernetes.pod.namespace"]+"/"+c.Labels["io.kubernetes.pod.name"])
		}
	})
}

func listPods(ctx context.Context, service cri.RuntimeService) error {
	pods, err := service.ListPodSandbox(ctx, nil)
	if err != nil {
		return err
	}
	return table("POD ID\tNAMESPACE\tNAME\tSTATE", func(row func(...any)) {
		for _, p := range pods {
			row(short(p.Id), p.Metadata.Namespace, p.Metadata.Name, p.State)
		}
	})
}

// imageFields has the JSON names of the real crictl, which kind reads.
func imageFields(image *runtimeapi.Image) map[string]any {
	return map[string]any{
		"id": image.Id, "repoTags": image.RepoTags, "repoDigests": image.RepoDigests,
		"size": fmt.Sprint(image.Size), "pinned": image.Pinned,
	}
}

func printJSON(value any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func table(header string, fill func(row func(...any))) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, header)
	fill(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}

func short(id string) string { return id[:min(13, len(id))] }
