package kind

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/devenv-run/devenv/devenv/fault"
)

// A cluster is the one that devenv created if its name, its API endpoint and its UID are those of the stored identity. The name stands for
// the containers too: those that kind calls by it have to be the ones that were created then, by ID. What does not match is never
// touched, whichever context or kubeconfig somebody made current. A cluster that does not answer has no UID to show; it is recognized by its
// containers.

// stranger is a cluster of our name with a container that is not ours: somebody deleted ours and made another one, or added a node.
func (k *Clusters) stranger(identity *Identity, c container, all []container) error {
	why := "its name matches, but its container " + c.Name + " is not the one that devenv created"
	if at := endpoint(all); at != "" && "https://"+at != identity.Endpoint {
		why += fmt.Sprintf(", and its API endpoint is https://%s, where devenv's was %s", at, identity.Endpoint)
	}
	return k.refused(why)
}

// leadsHere holds the address that our kubeconfig has against that of the cluster, which the engine may have changed since the identity
// was stored.
func (k *Clusters) leadsHere(identity *Identity, known, server string) error {
	if known == server || known == identity.Endpoint {
		return nil
	}
	return k.misled(fmt.Sprintf("the API endpoint does not match: it leads to %s, and the cluster that devenv created is at %s", known, identity.Endpoint), k.Kubeconfig())
}

// recognize asks the API server for the cluster's UID and holds it against the identity.
func (k *Clusters) recognize(ctx context.Context, api apiServer, identity *Identity) error {
	uid, err := api.uid(ctx)
	if err == nil && uid != identity.UID {
		err = k.refused(fmt.Sprintf("name and API endpoint match, but its UID is %s, where that of the cluster that devenv created was %s", uid, identity.UID))
	}
	return err
}

// notOurs is the refusal that an error of an API server amounts to; nil for errors that may have any cause. Every cluster has an authority of
// its own, so one that our kubeconfig's authority did not sign, or that does not know our certificate, is another one.
func (k *Clusters) notOurs(err error) error {
	var signer x509.UnknownAuthorityError
	var status *statusError
	switch {
	case fault.Of(err) == fault.Refused:
		return err
	case errors.As(err, &signer), errors.As(err, &status) && status.code == http.StatusUnauthorized:
		return k.misled("the UID cannot be checked: the cluster at its API endpoint does not accept it ("+err.Error()+")", k.Kubeconfig())
	}
	return nil
}

// contradicted refuses a cluster that is to be deleted and that shows by its endpoint or its UID not to be ours. What shows
// nothing, because it does not run or is broken, does not contradict.
func (k *Clusters) contradicted(ctx context.Context, identity *Identity, all []container) error {
	known, err := kubeconfigServer(k.Kubeconfig())
	if err != nil {
		return nil // lost
	}
	server := "https://" + endpoint(all)
	if err := k.leadsHere(identity, known, server); err != nil {
		return err
	}
	if known != server {
		return nil
	}
	data, err := os.ReadFile(k.Kubeconfig())
	if err != nil {
		return k.stateFault(err)
	}
	api, err := k.connect(data)
	if err == nil {
		err = k.recognize(ctx, api, identity)
	}
	if err != nil {
		return k.notOurs(err)
	}
	return nil
}
