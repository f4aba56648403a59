package config

import "time"

// This file is the schema. Its types and tags drive the decoder (decode.go), and its doc comments are the descriptions of the
// JSON Schema (schema.go reads them from this very file), so that what an editor shows is what a reader of the code sees.
//
// Tags: yaml is the key's name. check holds rules, separated by spaces; those for text hold for every text of a list or mapping:
//
//	required            the key must be there and have a value
//	label               a DNS label, of at most maxlen=N characters (63); on named things it is about their names
//	enum=a|b            one of these
//	min=N max=N         of a number
//	path                a file or directory that exists, relative to the file's directory
//	abs                 an absolute path, in a container
//	image, url, signal  an image reference, an http address, a signal's name
//	words               text with a word in it
//	scalar              anything but lists and mappings
//	exactlyone=a|b      on a blank field: of these keys one is there; atleastone=a|b likewise
//
// A field tagged key takes the key of the mapping entry that its struct is the value of, and a field Pos takes the position.

// Config is a devenv.yaml: what one environment consists of.
type Config struct {
	// APIVersion is the version of this schema.
	APIVersion string `yaml:"apiVersion" check:"required enum=devenv/v1"`
	// Name names the environment; the cluster is called devenv-<name>. A DNS label of at most 40 characters.
	Name string `yaml:"name" check:"required label maxlen=40"`
	// Cluster is the cluster to create. Everything in it has a default.
	Cluster Cluster `yaml:"cluster"`
	// Services are what is built from this repository, by name. The name is what commands and messages use.
	Services []Service `yaml:"services" check:"label"`
	// Deploy lists what is deployed, in this order; each entry is rendered the way production renders it.
	Deploy []Deploy `yaml:"deploy"`
	// Divergences are patches that exist only here. Each has a reason.
	Divergences []Divergence `yaml:"divergences"`
	// Tests are commands that test the running environment, by name.
	Tests []Test `yaml:"tests" check:"label"`
	// Profiles are variants of this file by name, chosen with --profile. What a profile says is merged over the rest of the file:
	// mappings merge key by key, scalars and lists replace, null goes back to the default.
	Profiles []Profile `yaml:"profiles" check:"label"`

	// Dir is the absolute directory of the file, of the first of several; every path in them is relative to it.
	Dir string `yaml:"-"`
	// File is the name of the file, of the first of several, as messages show it: devenv.yaml.
	File string `yaml:"-"`

	at map[string]Pos // where each value stands, by its path
}

// Cluster is the kind cluster that the environment runs in.
type Cluster struct {
	// Workers is the number of worker nodes; 0: one node does everything.
	Workers int `yaml:"workers" check:"min=0 max=50"`
	// NodeImage is the node image. Default: the one that devenv.lock pins, else kind's own.
	NodeImage string `yaml:"nodeImage" check:"image"`
	// RegistryMirrors are the addresses, by registry, that the nodes try before the registry itself.
	RegistryMirrors map[string][]string `yaml:"registryMirrors" check:"url"`
	// CACertificates are PEM files that the nodes trust in addition to the public authorities.
	CACertificates []string `yaml:"caCertificates" check:"path"`
	// Addons are parts of a production cluster that kind lacks.
	Addons []string `yaml:"addons" check:"enum=metrics-server"`
	// KindConfig is a kind configuration file that is merged under what devenv sets.
	KindConfig string `yaml:"kindConfig" check:"path"`

	Pos Pos `yaml:"-"`
}

// Service is something that is built from this repository and runs in the cluster.
type Service struct {
	// Name is the service's key in devenv.yaml.
	Name string `yaml:"-" key:"name"`
	// Image is the repository as the production resources name it, without tag or digest. Every container that names it runs what was built here.
	Image string `yaml:"image" check:"required"`
	// Build says how the image is built.
	Build Build `yaml:"build" check:"required"`
	// Dev says which ways a change may take into the cluster while developing.
	Dev *Dev `yaml:"dev"`
	// Forward lists ports to open on 127.0.0.1: LOCAL:REMOTE, or PORT for the same on both sides. REMOTE is the number or the name of a port of the service.
	Forward []Forward `yaml:"forward"`

	Pos Pos `yaml:"-"`
}

// Build is an image build, as docker build takes it.
type Build struct {
	// Context is the directory that the build sees.
	Context string `yaml:"context" check:"required path"`
	// Dockerfile is the Dockerfile, relative to the context. Default: Dockerfile.
	Dockerfile string `yaml:"dockerfile"`
	// Target is the stage to build. Default: the last one.
	Target string `yaml:"target"`
	// Args are build arguments. Values are taken literally.
	Args map[string]string `yaml:"args"`
	// Secrets are build secrets by id: the path of a file, or env:NAME for an environment variable. Their values never count as inputs of the image.
	Secrets map[string]Secret `yaml:"secrets"`

	Pos Pos `yaml:"-"`
}

// Dev is how a change of a service gets into the cluster while developing.
type Dev struct {
	// Mode is auto, in which devenv dev takes the shortest correct way, or full, in which it always builds the image and rolls it out. Default: auto.
	Mode string `yaml:"mode" check:"enum=auto|full"`
	// Sync lists files that may go straight into running containers. Of several entries that cover a file, the one with the longest from counts.
	Sync []Sync `yaml:"sync"`
	// Compile is a build on this machine whose result replaces files of the image: it stands for what the Dockerfile's build stages make of the context.
	Compile *Compile `yaml:"compile"`

	Pos Pos `yaml:"-"`
}

// Sync maps files of the context to files of running containers.
type Sync struct {
	// From is a file or directory, relative to the build context. What the ignore file names is never synced.
	From string `yaml:"from" check:"required"`
	// To is where it goes in the container: an absolute path, of the file or directory itself. With a slash at its end, a file goes into that directory.
	To string `yaml:"to" check:"required abs"`
	// Signal is sent to the container's first process afterwards, such as HUP.
	Signal string `yaml:"signal" check:"signal"`
}

// Compile is a build on this machine.
type Compile struct {
	// Run is the command, run by sh in the directory of devenv.yaml.
	Run string `yaml:"run" check:"required"`
	// Outputs are the files that it makes and what they replace.
	Outputs []Output `yaml:"outputs" check:"required"`
}

// Output is a file made on this machine that replaces one of the image.
type Output struct {
	// From is the file that was made, relative to the directory of devenv.yaml.
	From string `yaml:"from" check:"required"`
	// To is the file that it replaces: an absolute path. With a slash at its end, it goes into that directory.
	To string `yaml:"to" check:"required abs"`
}

// Deploy is one thing to deploy: exactly one of a Helm chart, a kustomization and plain manifests.
type Deploy struct {
	_ struct{} `check:"exactlyone=helm|kustomize|manifests"`

	// Name names the entry; for a Helm chart it is the release's name.
	Name string `yaml:"name" check:"required label maxlen=53"`
	// Namespace is where objects go that do not name one themselves.
	Namespace string `yaml:"namespace" check:"label"`
	// Helm is a chart to render.
	Helm *Helm `yaml:"helm"`
	// Kustomize is the directory of a kustomization to render.
	Kustomize string `yaml:"kustomize" check:"path"`
	// Manifests are files of objects; patterns such as deploy/*.yaml are expanded in sorted order.
	Manifests []string `yaml:"manifests"`
	// Local is what is different here.
	Local *Local `yaml:"local"`

	Pos Pos `yaml:"-"`
}

// Helm is a chart, rendered by the Helm library.
type Helm struct {
	// Chart is the directory or the archive of the chart.
	Chart string `yaml:"chart" check:"required path"`
	// Values are values files as production uses them; later ones win.
	Values []string `yaml:"values" check:"path"`
	// Set sets single values, by path as helm --set writes it: image.pullPolicy. Text stays text; numbers, true, false and null are what they are.
	Set map[string]any `yaml:"set" check:"scalar"`

	Pos Pos `yaml:"-"`
}

// Local is how a deploy source differs from production on this machine, and why.
type Local struct {
	_ struct{} `check:"atleastone=values|overlay"`

	// Values are further values files, applied after those of production and after what it sets.
	Values []string `yaml:"values" check:"path"`
	// Overlay is a kustomization that is built instead of the one of production.
	Overlay string `yaml:"overlay" check:"path"`
	// Reason says why; it is shown wherever the difference is.
	Reason string `yaml:"reason" check:"required words"`

	Pos Pos `yaml:"-"`
}

// Divergence is a patch that exists only here.
type Divergence struct {
	// Target selects the objects to patch. A target that matches nothing is an error.
	Target Target `yaml:"target" check:"required"`
	// Patch is a strategic merge patch (a mapping; for custom kinds a JSON merge patch) or a JSON patch (a list of operations). One that changes nothing is an error.
	Patch any `yaml:"patch" check:"required"`
	// Reason says why; it is shown wherever the difference is.
	Reason string `yaml:"reason" check:"required words"`

	Pos Pos `yaml:"-"`
}

// Target selects objects; what is left out matches everything.
type Target struct {
	_ struct{} `check:"atleastone=kind|name|namespace|labels"`

	// Kind is the objects' kind, such as Deployment.
	Kind string `yaml:"kind"`
	// Name is the object's name.
	Name string `yaml:"name"`
	// Namespace is the objects' namespace.
	Namespace string `yaml:"namespace"`
	// Labels must all be on the object.
	Labels map[string]string `yaml:"labels"`
}

// Test is a command that tests the running environment.
type Test struct {
	// Name is the test's key in devenv.yaml.
	Name string `yaml:"-" key:"name"`
	// Run is the command, run by sh in the directory of devenv.yaml.
	Run string `yaml:"run" check:"required"`
	// Timeout ends the test, as a duration such as 90s or 2m. Default: none.
	Timeout time.Duration `yaml:"timeout" check:"min=0"`

	Pos Pos `yaml:"-"`
}

// Profile is a variant of the file. Load merges the chosen one and leaves only the names here.
type Profile struct {
	// Name is the profile's key in devenv.yaml.
	Name string `yaml:"-" key:"name"`

	Pos Pos `yaml:"-"`
}
