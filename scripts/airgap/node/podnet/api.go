package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serviceAccount is where a pod finds its credentials.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// nodeAPI speaks the two requests that podnet needs of the Kubernetes API: list and watch nodes. The client library for
// all the others would make the program five times as large in memory on every node.
type nodeAPI struct {
	client *http.Client
	url    string                 // of the nodes collection
	token  func() (string, error) // read again for each request, because the kubelet renews it
}

// inCluster connects to the API server at endpoint (host:port) with the pod's credentials.
func inCluster(endpoint string) (*nodeAPI, error) {
	ca, err := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in the service account's ca.crt")
	}
	return &nodeAPI{
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			ResponseHeaderTimeout: 30 * time.Second,
		}},
		url: "https://" + endpoint + "/api/v1/nodes",
		token: func() (string, error) {
			token, err := os.ReadFile(filepath.Join(serviceAccount, "token"))
			return strings.TrimSpace(string(token)), err
		},
	}, nil
}

func hostPort(host, port string) string {
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(host, port)
}

// apiNode is a node as the API writes it, of which podnet reads a few fields.
type apiNode struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		PodCIDR  string   `json:"podCIDR"`
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Type    string `json:"type"`
			Address string `json:"address"`
		} `json:"addresses"`
	} `json:"status"`
}

func (a *nodeAPI) list(ctx context.Context) ([]Node, string, error) {
	body, err := a.get(ctx, nil)
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []apiNode `json:"items"`
	}
	if err := json.NewDecoder(body).Decode(&list); err != nil {
		return nil, "", fmt.Errorf("list nodes: %w", err)
	}
	nodes := make([]Node, 0, len(list.Items))
	for _, item := range list.Items {
		node, err := item.node()
		if err != nil {
			return nil, "", err
		}
		nodes = append(nodes, node)
	}
	return nodes, list.Metadata.ResourceVersion, nil
}

func (a *nodeAPI) watch(ctx context.Context, version string, changed func(Node, bool)) error {
	body, err := a.get(ctx, url.Values{"watch": {"1"}, "resourceVersion": {version}})
	if err != nil {
		return err
	}
	defer body.Close()
	decoder := json.NewDecoder(body)
	for {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := decoder.Decode(&event); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("watch nodes: %w", err)
		}
		switch event.Type {
		case "ADDED", "MODIFIED", "DELETED":
			var object apiNode
			if err := json.Unmarshal(event.Object, &object); err != nil {
				return fmt.Errorf("watch nodes: %w", err)
			}
			node, err := object.node()
			if err != nil {
				return err
			}
			changed(node, event.Type == "DELETED")
		case "ERROR":
			return fmt.Errorf("watch nodes: the server says %s", event.Object)
		}
	}
}

// get asks for the nodes collection and returns the body of a good answer.
func (a *nodeAPI) get(ctx context.Context, query url.Values) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return nil, err
	}
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	request.URL.RawQuery = query.Encode()
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return nil, fmt.Errorf("GET %s: %s: %s", request.URL, response.Status, strings.TrimSpace(string(text)))
	}
	return response.Body, nil
}

// node translates what the API says.
func (n apiNode) node() (Node, error) {
	node := Node{Name: n.Metadata.Name}
	for _, address := range n.Status.Addresses {
		if address.Type != "InternalIP" {
			continue
		}
		ip, err := netip.ParseAddr(address.Address)
		if err != nil {
			return Node{}, fmt.Errorf("node %s: %w", node.Name, err)
		}
		node.Addresses = append(node.Addresses, ip)
	}
	ranges := n.Spec.PodCIDRs
	if len(ranges) == 0 && n.Spec.PodCIDR != "" {
		ranges = []string{n.Spec.PodCIDR}
	}
	for _, text := range ranges {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return Node{}, fmt.Errorf("node %s: %w", node.Name, err)
		}
		node.PodCIDRs = append(node.PodCIDRs, prefix)
	}
	return node, nil
}
