// Package render turns what a project deploys (Helm charts, Kustomize overlays, manifests) into the objects that are to
// be applied, the way production renders it, with two differences and no others: containers of a service use the
// image that devenv builds, and an image that is on this machine already is not pulled again.
//
// Render reads the files that an Input names and nothing else: no registry, no kubeconfig, no HELM_* or other
// environment variable, and of a cluster only what charts look up, through the function that the Input gives. The same files and the same Input give the same bytes, unless a chart itself draws random
// values or reads the clock; Render notices that and says so in Result.Notes.
//
// Every source passes through the same stages: a loader turns it into documents (helm.go, kustomize.go, manifest.go, on
// top of document.go), documents become drafts with an identity and a namespace (draft.go, scope.go, namespace.go),
// divergences patch them (diverge.go, patch.go), images are replaced in pod templates (pod.go, image.go), and the drafts are
// put into install order and sealed as plan.Objects and plan.Hooks (seal.go, hook.go). InStages shows the result after each.
//
// What a cluster would answer is given: its version and its API list as data, its objects by a function (Capabilities).
// Without that one Helm's lookup function finds nothing, as in "helm template"; with it, what "helm upgrade" would find.
package render

import (
	"context"
	"errors"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/secret"
)

// Input is everything that the result depends on, beside the files themselves.
type Input struct {
	Dir          string       // the project directory, absolute; paths in Sources are relative to it
	Sources      []Source     // in the order in which they are deployed
	Services     []Service    // whose images take the place of production's
	Divergences  []Divergence // in the order in which they are applied
	Capabilities Capabilities // of the cluster to render for

	// Present says which of the given image references (as the resources write them) the local engine holds, so that
	// they need no pull. It is called at most once, with the references that no service builds. Nil: none of them.
	Present func(ctx context.Context, refs []string) (map[string]bool, error)
	// Secrets learns the values of Secrets, also of those that do not render: errors quote what they complain of. May be nil.
	Secrets *secret.Redactor
}

// Source is one entry of deploy. Exactly one of Helm, Kustomize, Manifests and Raw is set.
type Source struct {
	Name      string // also the name of the Helm release
	Namespace string // for objects that name none; created if no source declares it. May be empty

	Helm      *Helm
	Kustomize string   // directory of a kustomization
	Manifests []string // files, directories or glob patterns (with ** for any depth), each sorted by path
	Raw       []byte   // manifests in memory: an add-on of devenv itself
	Local     *Local   // how it differs here; nil: not at all

	// Upgrade says that this source was deployed before: charts see .Release.IsUpgrade instead of IsInstall.
	Upgrade bool
	// Pos is where the source is declared ("devenv.yaml:30:5"), for errors about the source as a whole.
	Pos string
}

// Helm says how a chart is rendered.
type Helm struct {
	Chart  string   // directory or .tgz archive
	Values []string // values files; later ones win
	// Set overrides single values after all files. Keys are paths as in "helm --set" (a.b, list[0], dots escaped by a
	// backslash); values keep their type: strings, booleans, numbers, null (removes the chart's default), lists, maps.
	Set map[string]any
}

// Local is how a source differs here from production. Values are for Helm, Overlay is for Kustomize.
type Local struct {
	Values  []string // values files that win over everything that the source says
	Overlay string   // directory of the kustomization to build instead of the source's
	Reason  string
	Pos     string // where it is declared
}

// Service is a service whose image devenv builds.
type Service struct {
	Name       string
	Repository string // as the production resources name it: registry.example.com/academy/grades
	Ref        string // what to use in its place: registry.example.com/academy/grades:devenv-<digest>
	Pos        string // where the service's image is declared ("devenv.yaml:12:5"), for errors
}

// Capabilities is what charts may ask about the cluster, and what namespace defaulting needs to know of it.
type Capabilities struct {
	KubeVersion string // "v1.36.3". Empty: what this build's Helm library assumes
	// APIVersions are group/version and group/version/Kind, as .Capabilities.APIVersions has them. Render adds the
	// definitions of earlier sources and of a chart's own crds folder, because they exist by the time
	// a production deployment renders the chart. Empty: what this build's Helm library assumes.
	APIVersions []string
	// Namespaced says whether objects of a kind live in a namespace. It is asked about kinds that are neither
	// Kubernetes' own nor defined by a source. Nil: nothing is known about those.
	Namespaced func(group, kind string) (namespaced, known bool)
	// Lookup answers the charts' lookup function; EmptyCluster where there is no cluster yet. Nil: the function gives an empty
	// map for everything, even for a list, as in "helm template".
	Lookup Lookup
}

// Result is what is to be applied.
type Result struct {
	// Sources are in the order of Input.Sources. Hooks hold all hooks of a chart, those included that devenv never runs
	// by itself (test, delete, rollback), in Helm's order: by weight, then name.
	Sources []plan.Source
	// ThirdParty are the image references that pods use and no service builds, as the resources write them, sorted.
	ThirdParty []string
	// Notes are lines that the user should read; nothing is wrong.
	Notes []string
}

// Render renders all sources. Faults of the user's files are *fault.Error of kind Config, joined if there are several;
// files, lines and columns in them are relative to Input.Dir.
//
// Render may be called from several goroutines; where calls meet Kustomize they take turns, because its library keeps
// its schema in package variables.
func Render(ctx context.Context, in Input) (*Result, error) {
	r := &rendering{in: in, scopes: scopes{}}
	return r.run(ctx, func() error { return nil })
}

// run carries out all stages; it calls stage when all objects are as declared, and after each divergence.
func (r *rendering) run(ctx context.Context, stage func() error) (*Result, error) {
	in := r.in
	var failed []error
	for i := range in.Sources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		failed = append(failed, r.load(ctx, i))
	}
	// A source that did not render would be blamed below for the objects and images that it lacks.
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	if err := errors.Join(r.place(), r.addNamespaces(), r.refuseDuplicates(), r.refuseUnserved()); err != nil {
		return nil, err
	}
	if err := stage(); err != nil {
		return nil, err
	}
	if err := r.diverge(stage); err != nil {
		return nil, err
	}
	third, err := r.substitute(ctx)
	if err != nil {
		return nil, err
	}
	sources, err := r.seal()
	if err != nil {
		return nil, err
	}
	return &Result{Sources: sources, ThirdParty: third, Notes: r.notes}, nil
}

// rendering is the state of one Render. Its drafts grow through the stages.
type rendering struct {
	in     Input
	drafts []*draft // of all sources, each source's in the order in which it declares them
	scopes scopes   // of the kinds that the sources so far define
	apis   []string // what these kinds add to Capabilities.APIVersions
	notes  []string
}

// note adds a line for the user.
func (r *rendering) note(text string) { r.notes = append(r.notes, text) }

// load renders source i into drafts.
func (r *rendering) load(ctx context.Context, i int) error {
	s := &r.in.Sources[i]
	if s.ways() != 1 {
		return config(s.Pos, "source "+s.Name+" must say exactly one of helm, kustomize and manifests", nil,
			"Make one source of each.")
	}
	var docs []doc
	var err error
	switch {
	case s.Helm != nil:
		docs, err = r.helm(ctx, s)
	case s.Kustomize != "":
		docs, err = r.kustomize(s)
	case len(s.Manifests) > 0:
		docs, err = r.manifests(s)
	default:
		docs, err = r.raw(s)
	}
	if err != nil {
		r.learn(s)
	}
	failed := []error{err}
	for _, d := range docs { // those that could be read, so that all faults are told at once
		failed = append(failed, r.draft(i, d))
	}
	return errors.Join(failed...)
}

// ways counts how many ways of rendering the source declares.
func (s *Source) ways() int {
	n := 0
	for _, set := range []bool{s.Helm != nil, s.Kustomize != "", len(s.Manifests) > 0, len(s.Raw) > 0} {
		if set {
			n++
		}
	}
	return n
}

// config is a fault of the user's files.
func config(where, what string, err error, next string) *fault.Error {
	return &fault.Error{Kind: fault.Config, Where: where, What: what, Err: err, Next: next}
}
