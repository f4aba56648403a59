package kube

import "testing"

func TestReadiness(t *testing.T) {
	for _, test := range []struct {
		name, object string
		lazy         map[string]bool
		want         condition
	}{
		{name: "a ConfigMap", object: `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}`, want: condition{Ready: true}},
		{name: "something being deleted", object: `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, deletionTimestamp: "2026-01-01T00:00:00Z"}}`,
			want: condition{Message: "is being deleted"}},
		{name: "a custom object without conditions", object: `{apiVersion: example.com/v1, kind: Widget, metadata: {name: x, generation: 1}}`, want: condition{Ready: true}},
		{name: "a custom object that is not ready", object: `{apiVersion: example.com/v1, kind: Widget, metadata: {name: x},
			status: {conditions: [{type: Ready, status: "False", reason: Waiting, message: no widget yet}]}}`, want: condition{Message: "no widget yet"}},
		{name: "a custom object that stalled", object: `{apiVersion: example.com/v1, kind: Widget, metadata: {name: x},
			status: {conditions: [{type: Stalled, status: "True", reason: BadSpec, message: no such size}]}}`,
			want: condition{Failed: true, Reason: "BadSpec", Message: "no such size"}},

		{name: "an autoscaler without metrics", object: `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: x},
			status: {conditions: [{type: ScalingActive, status: "False"}]}}`, want: condition{Ready: true}},
		{name: "a disruption budget that nobody has looked at", object: `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: x, generation: 2},
			status: {observedGeneration: 1}}`, want: condition{Ready: true}},

		{name: "a claim without volume", object: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: x}, spec: {storageClassName: fast}, status: {phase: Pending}}`,
			want: condition{Message: "PVC is not Bound. phase: Pending"}},
		{name: "a claim that waits for its pod", object: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: x}, spec: {storageClassName: standard}, status: {phase: Pending}}`,
			lazy: map[string]bool{"standard": true}, want: condition{Ready: true}},
		{name: "a claim with volume", object: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: x}, spec: {storageClassName: fast}, status: {phase: Bound}}`,
			want: condition{Ready: true}},

		{name: "a Deployment that nobody has looked at", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 3}, spec: {replicas: 2}, status: {observedGeneration: 2}}`,
			want: condition{Message: "waiting for its controller to see the change"}},
		{name: "a Deployment in the middle of a rollout", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 3}, spec: {replicas: 2},
			status: {observedGeneration: 3, replicas: 3, updatedReplicas: 1, readyReplicas: 3, availableReplicas: 2}}`,
			want: condition{Message: "1 of 2 replicas ready"}},
		{name: "a Deployment whose old pod is still there", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 3}, spec: {replicas: 2},
			status: {observedGeneration: 3, replicas: 3, updatedReplicas: 2, readyReplicas: 3, availableReplicas: 3}}`,
			want: condition{Message: "1 old replica still to go"}},
		{name: "a Deployment that is rolled out", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 3}, spec: {replicas: 2, progressDeadlineSeconds: 600},
			status: {observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2,
			conditions: [{type: Progressing, status: "True", reason: NewReplicaSetAvailable}, {type: Available, status: "True"}]}}`,
			want: condition{Ready: true}},
		{name: "a Deployment that got stuck", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 3}, spec: {replicas: 2, progressDeadlineSeconds: 600},
			status: {observedGeneration: 3, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: x has timed out}]}}`,
			want: condition{Failed: true, Reason: "ProgressDeadlineExceeded", Message: "x has timed out"}},
		{name: "a Deployment that is paused", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 3}, spec: {paused: true}}`,
			want: condition{Ready: true, Message: "is paused"}},
		{name: "a Deployment of none", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, generation: 1}, spec: {replicas: 0, progressDeadlineSeconds: 600},
			status: {observedGeneration: 1, conditions: [{type: Progressing, status: "True", reason: NewReplicaSetAvailable}, {type: Available, status: "True"}]}}`,
			want: condition{Ready: true}},

		{name: "a StatefulSet with one pod of three", object: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x, generation: 1}, spec: {replicas: 3},
			status: {observedGeneration: 1, replicas: 2, readyReplicas: 1, currentReplicas: 2, updatedReplicas: 2}}`,
			want: condition{Message: "1 of 3 replicas ready"}},
		{name: "a StatefulSet whose new pod is ready and old ones serve", object: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x, generation: 2}, spec: {replicas: 3},
			status: {observedGeneration: 2, replicas: 3, readyReplicas: 3, currentReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`,
			want: condition{Message: "1 of 3 replicas ready"}},
		{name: "a DaemonSet on one node of two", object: `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: x, generation: 1},
			status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1, numberReady: 1}}`,
			want: condition{Message: "1 of 2 nodes ready"}},

		{name: "a job not started", object: `{apiVersion: batch/v1, kind: Job, metadata: {name: x}}`, want: condition{Message: "not started"}},
		{name: "a job that runs", object: `{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {completions: 3}, status: {active: 1, succeeded: 1, failed: 1}}`,
			want: condition{Message: "1 of 3 pods complete, 1 failed"}},
		{name: "a job that is complete", object: `{apiVersion: batch/v1, kind: Job, metadata: {name: x}, status: {succeeded: 1, conditions: [{type: Complete, status: "True"}]}}`,
			want: condition{Ready: true}},
		{name: "a job that failed", object: `{apiVersion: batch/v1, kind: Job, metadata: {name: x},
			status: {failed: 7, conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit}]}}`,
			want: condition{Failed: true, Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit"}},
		{name: "a job that is suspended", object: `{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {suspend: true}}`,
			want: condition{Ready: true, Message: "is suspended"}},

		{name: "a pod that runs", object: `{apiVersion: v1, kind: Pod, metadata: {name: x}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`,
			want: condition{Ready: true}},
		{name: "a pod that is not ready", object: `{apiVersion: v1, kind: Pod, metadata: {name: x}, status: {phase: Running, conditions: [{type: Ready, status: "False"}]}}`,
			want: condition{Message: "its containers are not ready"}},
		{name: "a pod that failed", object: `{apiVersion: v1, kind: Pod, metadata: {name: x}, status: {phase: Failed, reason: Evicted, message: no disk}}`,
			want: condition{Failed: true, Reason: "Evicted", Message: "no disk"}},
		{name: "a pod that is through", object: `{apiVersion: v1, kind: Pod, metadata: {name: x}, status: {phase: Succeeded}}`, want: condition{Ready: true}},

		{name: "an API whose server does not answer", object: `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: x},
			status: {conditions: [{type: Available, status: "False", message: no response}]}}`, want: condition{Message: "no response"}},
		{name: "an API that is served", object: `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: x},
			status: {conditions: [{type: Available, status: "True"}]}}`, want: condition{Ready: true}},
		{name: "a definition just sent", object: `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}}`,
			want: condition{Message: "Install in progress"}},
		{name: "a definition whose names are taken", object: `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x},
			status: {conditions: [{type: NamesAccepted, status: "False", reason: KindConflict, message: Widget is taken}]}}`,
			want: condition{Failed: true, Reason: "KindConflict", Message: "Widget is taken"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := readiness(parse(t, test.object), test.lazy); got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestCompletionOfAHookPod(t *testing.T) {
	running := parse(t, `{apiVersion: v1, kind: Pod, metadata: {name: x}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`)
	if got := completion(running, nil); got.Ready {
		t.Error("a pod that runs counts as complete")
	}
	through := parse(t, `{apiVersion: v1, kind: Pod, metadata: {name: x}, status: {phase: Succeeded}}`)
	if got := completion(through, nil); !got.Ready {
		t.Error("a pod that succeeded does not count as complete")
	}
}
