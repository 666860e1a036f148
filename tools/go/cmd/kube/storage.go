//go:build !kubectl && !envtest

package main

// The default storage class of a kind cluster, in the place of Rancher's
// local-path-provisioner: a claim becomes a folder on the node that its pod was
// scheduled to. A short-lived helper pod makes and removes the folder with the
// scripts of kind's own ConfigMap `local-path-config`.

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"
)

const (
	provisionerName     = "rancher.io/local-path"
	provisionedBy       = "pv.kubernetes.io/provisioned-by"
	storageProvisioner  = "volume.kubernetes.io/storage-provisioner"
	selectedNode        = "volume.kubernetes.io/selected-node"
	configMapName       = "local-path-config"
	helperTimeout       = 2 * time.Minute
	storageResync       = 15 * time.Second // how soon a failed claim is tried again
	defaultPathNodeName = "DEFAULT_PATH_FOR_NON_LISTED_NODES"
)

type provisioner struct {
	client    kubernetes.Interface
	namespace string
	helper    corev1.Pod
	paths     map[string]string // node name -> folder that holds its volumes

	mu   sync.Mutex
	busy map[string]bool // claims and volumes that are being worked on
}

func runStorage() {
	flags := flag.NewFlagSet("local-path-provisioner", flag.ExitOnError)
	flags.Bool("debug", false, "accepted, as kind's manifest sets it")
	flags.Parse(os.Args[1:])
	start := flag.NewFlagSet("start", flag.ExitOnError)
	image := start.String("helper-image", "", "image of the helper pods")
	configFile := start.String("config", "", "JSON file that names the folder for each node")
	if flags.Arg(0) != "start" {
		log.Fatal("usage: local-path-provisioner start --helper-image IMAGE --config FILE")
	}
	start.Parse(flags.Args()[1:])

	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	p := &provisioner{
		client:    kubernetes.NewForConfigOrDie(config),
		namespace: os.Getenv("POD_NAMESPACE"),
		busy:      map[string]bool{},
	}
	if err := p.readConfig(*configFile, *image); err != nil {
		log.Fatal(err)
	}
	p.run(context.Background())
}

func (p *provisioner) readConfig(file, image string) error {
	var config struct {
		NodePathMap []struct {
			Node  string
			Paths []string
		} `json:"nodePathMap"`
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	p.paths = map[string]string{}
	for _, entry := range config.NodePathMap {
		if len(entry.Paths) > 0 {
			p.paths[entry.Node] = entry.Paths[0]
		}
	}
	helperFile := path.Join(path.Dir(file), "helperPod.yaml")
	if raw, err = os.ReadFile(helperFile); err != nil {
		return err
	}
	if err := yaml.Unmarshal(raw, &p.helper); err != nil {
		return fmt.Errorf("%s: %w", helperFile, err)
	}
	if len(p.helper.Spec.Containers) != 1 {
		return fmt.Errorf("%s: want one container, found %d", helperFile, len(p.helper.Spec.Containers))
	}
	if image != "" {
		p.helper.Spec.Containers[0].Image = image
	}
	return nil
}

func (p *provisioner) run(ctx context.Context) {
	factory := informers.NewSharedInformerFactory(p.client, storageResync)
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	classes := factory.Storage().V1().StorageClasses().Lister()
	handle := func(work func(any)) cache.ResourceEventHandlerFuncs {
		return cache.ResourceEventHandlerFuncs{AddFunc: work, UpdateFunc: func(_, now any) { work(now) }}
	}
	claims.AddEventHandler(handle(func(o any) {
		claim := o.(*corev1.PersistentVolumeClaim)
		if !wantsVolume(claim) {
			return
		}
		class, err := classes.Get(*claim.Spec.StorageClassName)
		if err != nil {
			log.Printf("claim %s/%s: %v", claim.Namespace, claim.Name, err)
			return
		}
		p.once("claim/"+string(claim.UID), func() error { return p.provision(ctx, claim, class) })
	}))
	volumes.AddEventHandler(handle(func(o any) {
		volume := o.(*corev1.PersistentVolume)
		if wantsRemoval(volume) {
			p.once("volume/"+string(volume.UID), func() error { return p.remove(ctx, volume) })
		}
	}))
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	log.Printf("storage class provisioner %s is ready", provisionerName)
	<-ctx.Done()
}

// once keeps two events about one object from being worked on at the same time;
// what fails comes again with the next resync.
func (p *provisioner) once(key string, work func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[key] {
		return
	}
	p.busy[key] = true
	go func() {
		if err := work(); err != nil {
			log.Print(err)
		}
		p.mu.Lock()
		delete(p.busy, key)
		p.mu.Unlock()
	}()
}

func wantsVolume(c *corev1.PersistentVolumeClaim) bool {
	return c.Annotations[storageProvisioner] == provisionerName && c.Annotations[selectedNode] != "" &&
		c.Spec.VolumeName == "" && c.Spec.StorageClassName != nil && c.DeletionTimestamp == nil
}

func wantsRemoval(v *corev1.PersistentVolume) bool {
	return v.Annotations[provisionedBy] == provisionerName && v.Status.Phase == corev1.VolumeReleased &&
		v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
}

func (p *provisioner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) error {
	name, node := "pvc-"+string(claim.UID), claim.Annotations[selectedNode]
	if _, err := p.client.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{}); err == nil {
		return nil // made already; the claim is about to be bound
	}
	folder, listed := p.paths[node]
	if !listed {
		folder = p.paths[defaultPathNodeName]
	}
	folder = path.Join(folder, fmt.Sprintf("%s_%s_%s", name, claim.Namespace, claim.Name))
	if err := p.runHelper(ctx, "setup", name, node, folder); err != nil {
		return fmt.Errorf("make volume %s for claim %s/%s on %s: %w", name, claim.Namespace, claim.Name, node, err)
	}
	reclaim, created := corev1.PersistentVolumeReclaimDelete, corev1.HostPathDirectoryOrCreate
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisionerName}},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeReclaimPolicy: reclaim,
			StorageClassName:              class.Name,
			VolumeMode:                    claim.Spec.VolumeMode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: folder, Type: &created},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
				}}}},
			}},
		},
	}, metav1.CreateOptions{})
	if err == nil {
		log.Printf("made volume %s for claim %s/%s on %s", name, claim.Namespace, claim.Name, node)
	}
	return err
}

func (p *provisioner) remove(ctx context.Context, volume *corev1.PersistentVolume) error {
	node := volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]
	_, err := p.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil { // the folder of a node that is gone is gone with it
		if err := p.runHelper(ctx, "teardown", volume.Name, node, volume.Spec.HostPath.Path); err != nil {
			return fmt.Errorf("remove volume %s on %s: %w", volume.Name, node, err)
		}
	}
	log.Printf("removed volume %s on %s", volume.Name, node)
	return p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
}

// runHelper runs one script of the ConfigMap on the node and waits for its end.
func (p *provisioner) runHelper(ctx context.Context, script, volume, node, folder string) error {
	pods := p.client.CoreV1().Pods(p.namespace)
	created := corev1.HostPathDirectoryOrCreate
	pod := p.helper.DeepCopy()
	pod.Name = "helper-pod-" + script + "-" + volume
	pod.Spec.NodeName = node
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Volumes = append(pod.Spec.Volumes,
		corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: path.Dir(folder), Type: &created}}},
		corev1.Volume{Name: "script", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMapName},
			Items:                []corev1.KeyToPath{{Key: script, Path: script}}}}})
	container := &pod.Spec.Containers[0]
	container.Command = []string{"/bin/sh", "/script/" + script}
	container.Env = append(container.Env, corev1.EnvVar{Name: "VOL_DIR", Value: folder})
	container.VolumeMounts = append(container.VolumeMounts,
		corev1.VolumeMount{Name: "data", MountPath: path.Dir(folder)},
		corev1.VolumeMount{Name: "script", MountPath: "/script"})

	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	defer pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
	return wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, helperTimeout, true, func(ctx context.Context) (bool, error) {
		now, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if now.Status.Phase == corev1.PodFailed {
			return false, fmt.Errorf("helper pod %s failed: %s", pod.Name, now.Status.Message)
		}
		return now.Status.Phase == corev1.PodSucceeded, nil
	})
}
