package kube

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/plan"
)

// ordinary is what charts and kustomizations contain, with the oddities that generators leave in.
const ordinary = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: NS, creationTimestamp: null}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {NS: "yes"}}]}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-some, labels: {NS: "yes"}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NS-some}
subjects: [{kind: ServiceAccount, name: web, namespace: NS}]
---
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: NS}
type: Opaque
data: {a: Yg==}
stringData: {c: d}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: NS, annotations: null}
data: {nginx.conf: "events {}\n", empty: ""}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: NS}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 0.001Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced, namespace: NS}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
status: {loadBalancer: {}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS, creationTimestamp: null}
spec:
  selector: {matchLabels: {app: web}}
  strategy: {}
  template:
    metadata: {creationTimestamp: null, labels: {app: web}}
    spec:
      serviceAccountName: web
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: IMAGE
        imagePullPolicy: IfNotPresent
        command: [/bin/sh, -c, "trap 'exit 0' TERM; while :; do sleep 1; done"]
        env: [{name: A, value: ""}, {name: B, valueFrom: {secretKeyRef: {name: web, key: a}}}, {name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 0.01, memory: 16384Ki}, limits: {memory: 1Gi}}
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
status: {}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: NS}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: NS}
spec: {minAvailable: 50%, selector: {matchLabels: {app: web}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: NS}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: IMAGE, imagePullPolicy: IfNotPresent, command: [/bin/sh, -c, "trap 'exit 0' TERM; while :; do sleep 1; done"]}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: NS}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: main, image: IMAGE}]}}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NS}
spec: {rules: [{host: academy.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: NS}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{}]}
---
apiVersion: v1
kind: LimitRange
metadata: {name: web, namespace: NS}
spec: {limits: [{type: Container, default: {memory: 1G}}]}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: NS-high}
value: 1000
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NS-check}
webhooks:
- name: check.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  rules: [{apiGroups: [NS.example.com], apiVersions: [v1], operations: [CREATE], resources: [things]}]
  clientConfig: {service: {name: web, namespace: NS}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NS.example.com, creationTimestamp: null}
spec:
  group: NS.example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
status: {acceptedNames: {kind: "", plural: ""}, conditions: [], storedVersions: []}
`

// Once everything is ready, and the cluster's own controllers have written to it whatever they write, nothing is left to do: no drift,
// nothing that is not ready, and not even a dry run to find that out.
func TestNothingDriftsByItself(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	var objects []plan.Object
	for _, m := range strings.Split(strings.NewReplacer("NS", ns, "IMAGE", testImage()).Replace(ordinary), "\n---\n") {
		objects = append(objects, declare(t, m))
	}
	s := applyAll(t, c, objects...)
	for _, o := range objects {
		if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
			t.Error(err)
		}
	}
	until(t, "the autoscaler has its minimum", func(ctx context.Context) bool {
		w, err := c.Workloads(ctx, Services{"web": {repositoryOf(testImage())}})
		return err == nil && len(w) == 2 && w[1].Desired == 2 && w[1].Current
	})
	w, counted := watched(t, c)
	o := observed(t, w, s)
	for _, object := range objects {
		if live := o.Live[object.ID]; !live.Exists || !live.Ready || live.Drift != "" || live.Hash != object.Hash {
			t.Errorf("%s: %+v", object.ID, live)
		}
	}
	t.Logf("%d objects of %d kinds: %d requests", len(objects), len(objects)-2, counted.count)
	if len(counted.dry) > 0 {
		t.Errorf("needed dry runs: %v", counted.dry)
	}
	for _, object := range objects {
		if _, err := c.Apply(ctx, "source", object); err != nil {
			t.Errorf("applying it again: %v", err)
		}
	}
	if workloads, err := c.Workloads(ctx, Services{"web": {repositoryOf(testImage())}}); err != nil || workloads[1].Desired != 2 {
		t.Errorf("applying it again undid what the autoscaler did: %+v %v", workloads, err)
	}
	began := time.Now()
	deleted, kept, err := c.DeleteAll(ctx, DownOptions{}, func(string) {})
	t.Logf("deleted %d in %s, kept %v, %v", len(deleted), time.Since(began), kept, err)
	if err != nil || len(kept) != 1 || kept[0].ID.Kind != "PersistentVolumeClaim" {
		t.Errorf("kept %v, %v", kept, err)
	}
}
