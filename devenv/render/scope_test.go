package render

import (
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Kustomize carries a table of its own, made from Kubernetes' OpenAPI document.
func TestScopesAgreeWithOpenAPI(t *testing.T) {
	checked := 0
	for _, gk := range kindsToCheck {
		namespaced, known := openapi.IsNamespaceScoped(yaml.TypeMeta{APIVersion: gk.apiVersion, Kind: gk.kind})
		if !known {
			continue // newer than the table
		}
		checked++
		if got, _ := (&rendering{}).namespaced(groupKind{groupOf(gk.apiVersion), gk.kind}); got != namespaced {
			t.Errorf("%s %s: namespaced is %v, the OpenAPI document says %v", gk.apiVersion, gk.kind, got, namespaced)
		}
	}
	if checked < 45 {
		t.Errorf("only %d kinds were compared", checked)
	}
}

type apiKind struct{ apiVersion, kind string }

// kindsToCheck are Kubernetes' kinds by API version.
var kindsToCheck = func() []apiKind {
	const table = `
v1: Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
admissionregistration.k8s.io/v1: MutatingWebhookConfiguration ValidatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
apiextensions.k8s.io/v1: CustomResourceDefinition
apiregistration.k8s.io/v1: APIService
apps/v1: ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
authentication.k8s.io/v1: TokenReview SelfSubjectReview
authorization.k8s.io/v1: LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
autoscaling/v2: HorizontalPodAutoscaler
batch/v1: CronJob Job
certificates.k8s.io/v1: CertificateSigningRequest
certificates.k8s.io/v1alpha1: ClusterTrustBundle
coordination.k8s.io/v1: Lease
discovery.k8s.io/v1: EndpointSlice
events.k8s.io/v1: Event
flowcontrol.apiserver.k8s.io/v1: FlowSchema PriorityLevelConfiguration
internal.apiserver.k8s.io/v1alpha1: StorageVersion
networking.k8s.io/v1: Ingress IngressClass NetworkPolicy
networking.k8s.io/v1beta1: IPAddress ServiceCIDR
networking.k8s.io/v1alpha1: IPAddress ServiceCIDR
node.k8s.io/v1: RuntimeClass
policy/v1: PodDisruptionBudget
policy/v1beta1: PodSecurityPolicy
rbac.authorization.k8s.io/v1: ClusterRole ClusterRoleBinding Role RoleBinding
resource.k8s.io/v1alpha3: DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
resource.k8s.io/v1beta1: DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
scheduling.k8s.io/v1: PriorityClass
storage.k8s.io/v1: CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment
storage.k8s.io/v1beta1: VolumeAttributesClass
storagemigration.k8s.io/v1alpha1: StorageVersionMigration
`
	var all []apiKind
	for line := range strings.Lines(strings.TrimSpace(table)) {
		apiVersion, kinds, _ := strings.Cut(strings.TrimSpace(line), ": ")
		for kind := range strings.FieldsSeq(kinds) {
			all = append(all, apiKind{apiVersion, kind})
		}
	}
	return all
}()
