package kubernetes

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kubectl-validate/pkg/openapiclient"
	"sigs.k8s.io/kubectl-validate/pkg/validator"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
)

// kubernetes is the version whose schemas judge.
const kubernetes = "1.30"

// build returns what `kubectl kustomize` makes of a folder, as documents of YAML.
func build(t *testing.T, folder string) []string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "kubernetes", folder))
	if err != nil {
		t.Fatal(err)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		t.Fatal(err)
	}
	yaml, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(yaml), "\n---\n")
}

func newValidator(t *testing.T) *validator.Validator {
	t.Helper()
	v, err := validator.New(openapiclient.NewHardcodedBuiltins(kubernetes))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func validate(v *validator.Validator, document string) error {
	_, object, err := v.Parse([]byte(document))
	if err != nil {
		return err
	}
	return v.Validate(object)
}

func TestEveryManifestHasTheSchemaOfKubernetes(t *testing.T) {
	v := newValidator(t)
	for _, folder := range []string{"base", "production", "backend"} {
		for _, document := range build(t, folder) {
			if err := validate(v, document); err != nil {
				t.Errorf("%s: %v\n%s", folder, err, document)
			}
		}
	}
	deployment := ""
	for _, document := range build(t, "production") {
		if strings.Contains(document, "kind: Deployment") {
			deployment = document
		}
	}
	for _, change := range [][2]string{
		{"maxUnavailable: 0", "maxUnavailible: 0"},
		{"replicas: 4", "replicas: four"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: 1"},
	} {
		changed := strings.Replace(deployment, change[0], change[1], 1)
		if changed == deployment {
			t.Fatalf("it has no %s", change[0])
		}
		if validate(v, changed) == nil {
			t.Errorf("%s is not found", change[1])
		}
	}
}

// cluster is the manifests of a place, by kind and name.
type cluster map[string]*unstructured.Unstructured

func production(t *testing.T, folder string) cluster {
	t.Helper()
	c, v := cluster{}, newValidator(t)
	for _, document := range build(t, folder) {
		kind, object, err := v.Parse([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		c[kind.Kind+" "+object.GetName()] = object
	}
	return c
}

// as fills a typed object with a manifest.
func as[T any](t *testing.T, c cluster, name string) *T {
	t.Helper()
	object, ok := c[name]
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
		t.Fatal(err)
	}
	return typed
}

func TestAReplacementTakesNothingAwayBeforeTheNextIsReady(t *testing.T) {
	c := production(t, "production")
	d := as[appsv1.Deployment](t, c, "Deployment gateway")
	rolling := d.Spec.Strategy.RollingUpdate
	if rolling == nil || rolling.MaxUnavailable.IntValue() != 0 || rolling.MaxSurge.IntValue() != 1 {
		t.Errorf("it is %+v", d.Spec.Strategy)
	}
	if d.Spec.RevisionHistoryLimit == nil || *d.Spec.RevisionHistoryLimit < 2 {
		t.Error("there is no revision to go back to")
	}
	budget := as[policyv1.PodDisruptionBudget](t, c, "PodDisruptionBudget gateway")
	if budget.Spec.MaxUnavailable.IntValue() != 1 || budget.Spec.Selector.MatchLabels["app.kubernetes.io/name"] != d.Spec.Template.Labels["app.kubernetes.io/name"] {
		t.Errorf("the budget is %+v", budget.Spec)
	}
	container := d.Spec.Template.Spec.Containers[0]
	for path, probe := range map[string]*corev1.Probe{"/startupz": container.StartupProbe, "/readyz": container.ReadinessProbe, "/livez": container.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "health" {
			t.Errorf("%s is probed by %+v", path, probe)
		}
	}
	if !strings.Contains(container.Image, "@sha256:") {
		t.Errorf("the image is %s", container.Image)
	}
	if live := container.LivenessProbe; int32(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) > live.PeriodSeconds*live.FailureThreshold {
		t.Errorf("a gateway that leaves is killed by its liveness probe after %d s", live.PeriodSeconds*live.FailureThreshold)
	}
}

// What Pod Security calls restricted, and a root that nobody writes to.
func TestAGatewayMayDoNothingButServe(t *testing.T) {
	c := production(t, "production")
	if level := c["Namespace sallyport"].GetLabels()["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the namespace enforces %q", level)
	}
	pod := as[appsv1.Deployment](t, c, "Deployment gateway").Spec.Template.Spec
	s, container := pod.SecurityContext, pod.Containers[0].SecurityContext
	switch {
	case s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532:
		t.Errorf("it runs as %+v", s)
	case s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Error("it may call everything of the kernel")
	case container.AllowPrivilegeEscalation == nil || *container.AllowPrivilegeEscalation:
		t.Error("it may become more")
	case container.ReadOnlyRootFilesystem == nil || !*container.ReadOnlyRootFilesystem:
		t.Error("its root can be written")
	case container.Capabilities == nil || !slices.Equal(container.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(container.Capabilities.Add) > 0:
		t.Error("it has capabilities")
	case pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken:
		t.Error("it has a token for Kubernetes")
	case pod.HostNetwork || pod.HostPID || pod.HostIPC:
		t.Error("it is in the host's namespaces")
	}
	for _, mount := range pod.Containers[0].VolumeMounts {
		if !mount.ReadOnly && mount.MountPath != "/run/caddy" {
			t.Errorf("it writes to %s", mount.MountPath)
		}
	}
	for _, volume := range pod.Volumes {
		if volume.Name == "run" && (volume.EmptyDir == nil || volume.EmptyDir.Medium != corev1.StorageMediumMemory) {
			t.Error("what it writes is kept")
		}
	}
}

// sources are who a policy lets in, and to which ports.
func sources(policy *networkingv1.NetworkPolicy) (from []string) {
	for _, rule := range policy.Spec.Ingress {
		var ports []string
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.String())
		}
		if len(rule.From) == 0 {
			from = append(from, "anybody")
		}
		for _, peer := range rule.From {
			name := "every pod"
			switch {
			case peer.IPBlock != nil:
				name = peer.IPBlock.CIDR
			case peer.PodSelector != nil && peer.NamespaceSelector != nil:
				name = fmt.Sprintf("%s in %s", peer.PodSelector.MatchLabels["app.kubernetes.io/name"], peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
			}
			from = append(from, name+" to "+strings.Join(ports, ","))
		}
	}
	return from
}

func TestOnlyTheBalancerReachesTheGatewayAndOnlyTheGatewayTheBackend(t *testing.T) {
	c := production(t, "production")
	tests := []struct {
		name   string
		policy *networkingv1.NetworkPolicy
		want   []string
	}{
		{"everything else", as[networkingv1.NetworkPolicy](t, c, "NetworkPolicy nothing-else"), nil},
		{"the gateway", as[networkingv1.NetworkPolicy](t, c, "NetworkPolicy gateway"),
			[]string{"10.0.0.0/16 to tls,http,health", "prometheus in monitoring to health"}},
		{"the backend", as[networkingv1.NetworkPolicy](t, production(t, "backend"), "NetworkPolicy only-from-the-gateway"),
			[]string{"sallyport in sallyport to 8080"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := sources(tt.policy); !slices.Equal(got, tt.want) {
				t.Errorf("in come %q, want %q", got, tt.want)
			}
			if !slices.Contains(tt.policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
				t.Error("it says nothing about who comes in")
			}
		})
	}
	pods := as[appsv1.Deployment](t, c, "Deployment gateway").Spec.Template.Labels
	for key, value := range tests[1].policy.Spec.PodSelector.MatchLabels {
		if pods[key] != value {
			t.Errorf("the policy is not for the gateway: %s=%s", key, value)
		}
	}
}
