package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// apiServer is the little that this adapter asks of a cluster's API server. Everything else is the kube adapter's.
type apiServer interface {
	answers(ctx context.Context) error
	uid(ctx context.Context) (string, error)     // of the namespace kube-system
	version(ctx context.Context) (string, error) // v1.36.3
	observe(ctx context.Context) (observation, error)
}

// observation is what a cluster says of its nodes and of the pods in kube-system.
type observation struct {
	nodes []nodeObject
	pods  []podObject
}

type objectMeta struct {
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	Labels          map[string]string `json:"labels"`
	OwnerReferences []struct {
		Kind string `json:"kind"`
	} `json:"ownerReferences"`
}

type condition struct {
	Type          string    `json:"type"`
	Status        string    `json:"status"`
	LastHeartbeat time.Time `json:"lastHeartbeatTime"`
}

type nodeObject struct {
	Metadata objectMeta `json:"metadata"`
	Status   struct {
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

type podObject struct {
	Metadata objectMeta `json:"metadata"`
	Spec     struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions"`
		Containers []struct {
			State struct {
				Running *struct {
					StartedAt time.Time `json:"startedAt"`
				} `json:"running"`
				Waiting *struct {
					Reason string `json:"reason"`
				} `json:"waiting"`
			} `json:"state"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

// restServer is an apiServer over HTTPS.
type restServer struct {
	client *http.Client
	base   string
}

// connect makes an apiServer of a kubeconfig. It does not connect yet.
func connect(kubeconfig []byte) (apiServer, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	config.Timeout = 3 * time.Second // each answer is small and near; what takes longer is asked again
	config.Proxy = http.ProxyURL(nil)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	return restServer{client: client, base: strings.TrimSuffix(config.Host, "/")}, nil
}

func (s restServer) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &statusError{code: resp.StatusCode, text: fmt.Sprintf("GET %s: %s: %s", path, resp.Status, lastLine(string(body)))}
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// statusError is an answer that is not the one that was asked for.
type statusError struct {
	code int // of HTTP
	text string
}

func (e *statusError) Error() string { return e.text }

func (s restServer) answers(ctx context.Context) error { return s.get(ctx, "/readyz", nil) }

func (s restServer) uid(ctx context.Context) (string, error) {
	var namespace struct {
		Metadata objectMeta `json:"metadata"`
	}
	err := s.get(ctx, "/api/v1/namespaces/kube-system", &namespace)
	return namespace.Metadata.UID, err
}

func (s restServer) version(ctx context.Context) (string, error) {
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	err := s.get(ctx, "/version", &version)
	return version.GitVersion, err
}

func (s restServer) observe(ctx context.Context) (observation, error) {
	var nodes struct {
		Items []nodeObject `json:"items"`
	}
	if err := s.get(ctx, "/api/v1/nodes", &nodes); err != nil {
		return observation{}, err
	}
	var pods struct {
		Items []podObject `json:"items"`
	}
	if err := s.get(ctx, "/api/v1/namespaces/kube-system/pods", &pods); err != nil {
		return observation{}, err
	}
	return observation{nodes: nodes.Items, pods: pods.Items}, nil
}
