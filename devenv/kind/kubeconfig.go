package kind

import (
	"context"
	"errors"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// api connects to the API server of a running cluster of ours. The engine may have given it another port since it was created, and
// the kubeconfig may be lost: both are put right on the way. A kubeconfig that leads to neither address was changed by somebody, and is a
// fault.Refused.
func (k *Clusters) api(ctx context.Context, identity *Identity, all []container) (apiServer, error) {
	at := endpoint(all)
	if at == "" {
		return nil, k.broken("no port of this machine leads to its API server", nil)
	}
	server := "https://" + at
	known, err := kubeconfigServer(k.Kubeconfig())
	if err == nil {
		if err := k.leadsHere(identity, known, server); err != nil {
			return nil, err
		}
	}
	if err != nil || known != server {
		if err := k.writeKubeconfig(ctx, server, all); err != nil {
			return nil, err
		}
	}
	if identity.Endpoint != server {
		identity.Endpoint = server
		if err := k.writeState(k.identityFile(), identity); err != nil {
			return nil, err
		}
	}
	data, err := os.ReadFile(k.Kubeconfig())
	if err != nil {
		return nil, k.stateFault(err)
	}
	return k.connect(data)
}

// kubeconfigServer is the address that a kubeconfig leads to.
func kubeconfigServer(path string) (string, error) {
	c, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return "", err
	}
	inUse := c.Contexts[c.CurrentContext]
	if inUse == nil || c.Clusters[inUse.Cluster] == nil || c.AuthInfos[inUse.AuthInfo] == nil {
		return "", errors.New("it names no cluster")
	}
	return c.Clusters[inUse.Cluster].Server, nil
}

// writeKubeconfig writes the cluster's own kubeconfig, readable by the user only: the administrator's from a control plane, with the
// address that leads there from this machine, and under the name that kind gives it (kind-<cluster>).
func (k *Clusters) writeKubeconfig(ctx context.Context, server string, all []container) error {
	if len(all) == 0 || all[0].Role != controlPlane {
		return k.broken("it has no control plane", nil)
	}
	out, err := k.docker.run(ctx, nil, "exec", all[0].ID, "cat", "/etc/kubernetes/admin.conf")
	if err != nil {
		return k.engineFault(ctx, "reading the kubeconfig of "+k.Name, err)
	}
	data, err := relabel(out, "kind-"+k.Name, server)
	if err != nil {
		return k.broken("the kubeconfig in its control plane cannot be read", err)
	}
	return k.stateFault(k.writeFile(k.Kubeconfig(), data))
}

// relabel gives the one cluster of a kubeconfig another name and address.
func relabel(kubeconfig []byte, name, server string) ([]byte, error) {
	from, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, err
	}
	inUse := from.Contexts[from.CurrentContext]
	if inUse == nil || from.Clusters[inUse.Cluster] == nil || from.AuthInfos[inUse.AuthInfo] == nil {
		return nil, errors.New("it names no cluster")
	}
	to := clientcmdapi.NewConfig()
	to.Clusters[name] = from.Clusters[inUse.Cluster]
	to.Clusters[name].Server = server
	to.AuthInfos[name] = from.AuthInfos[inUse.AuthInfo]
	to.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	to.CurrentContext = name
	return clientcmd.Write(*to)
}
