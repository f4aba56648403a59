package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/devenv-run/devenv/devenv/fault"
)

// TargetOf says where a port of a service leads, the way people mean it: the port of a Kubernetes Service in front of the pods that run
// one of the service's images, the Service of the same name first; and where no Service has such a port, that of the pods themselves.
//
// A name that neither has is a fault.Config that lists the ports that there are; a number is then taken as the pods' own, declared or not.
func (c *Cluster) TargetOf(ctx context.Context, name string, images []string, port string) (Target, error) {
	pods := Services{name: images}
	direct := Target{Pods: pods, Port: port}
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return direct, err
	}
	var known []string
	for _, ns := range namespaces {
		all, err := c.core.Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return direct, unanswered(err, "the pods of "+ns+" could not be read")
		}
		mine := slices.DeleteFunc(all.Items, func(p corev1.Pod) bool {
			return !runs(&p, pods) || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		})
		if len(mine) == 0 {
			continue
		}
		services, err := c.core.Services(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return direct, unanswered(err, "the Services of "+ns+" could not be read")
		}
		inFront := slices.DeleteFunc(services.Items, func(s corev1.Service) bool { return !selectsAny(s, mine) })
		slices.SortStableFunc(inFront, func(a, b corev1.Service) int {
			if (a.Name == name) != (b.Name == name) {
				if a.Name == name {
					return -1
				}
				return 1
			}
			return strings.Compare(a.Name, b.Name)
		})
		for _, s := range inFront {
			for _, p := range s.Spec.Ports {
				if p.Name == port || strconv.Itoa(int(p.Port)) == port {
					return Target{Namespace: ns, Service: s.Name, Port: port}, nil
				}
				known = append(known, fmt.Sprintf("%d of Service %s/%s", p.Port, ns, s.Name))
			}
		}
		for _, pod := range mine {
			for _, container := range pod.Spec.Containers {
				for _, p := range container.Ports {
					if p.Name == port || strconv.Itoa(int(p.ContainerPort)) == port {
						return direct, nil
					}
					known = append(known, fmt.Sprintf("%d of container %s", p.ContainerPort, container.Name))
				}
			}
		}
	}
	// A container may listen on ports that nobody declares, but a name has to be declared.
	if _, err := strconv.Atoi(port); err == nil || len(known) == 0 {
		return direct, nil
	}
	slices.Sort(known)
	return direct, &fault.Error{
		Kind: fault.Config, What: "service " + name + " has no port " + port,
		Next: "Correct forward in devenv.yaml. The ports are " + strings.Join(slices.Compact(known), ", ") + ".",
	}
}

// selectsAny says whether a Service is in front of any of the pods.
func selectsAny(s corev1.Service, pods []corev1.Pod) bool {
	if len(s.Spec.Selector) == 0 {
		return false
	}
	selector := labels.SelectorFromSet(s.Spec.Selector)
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool { return selector.Matches(labels.Set(p.Labels)) })
}
