package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

// checkLock holds the lock of a chart's dependencies against what the chart declares and against what its charts folder has. The
// first is what "helm dependency build" refuses; the second is what that command would put right.
func checkLock(c *chart.Chart, dir string) error {
	if c.Lock == nil {
		return nil
	}
	lock, declared := "Chart.lock", "Chart.yaml"
	if c.Metadata.APIVersion == chart.APIVersionV1 {
		lock, declared = "requirements.lock", "requirements.yaml"
	}
	where := path.Join(dir, lock)
	if !lockFits(c) {
		return config(where, fmt.Sprintf("the lock file of chart %s is out of sync with the dependencies in %s", c.Name(), declared), nil,
			"Run: helm dependency update "+dir)
	}
	var failed []error
	for _, want := range c.Lock.Dependencies {
		if want == nil {
			continue
		}
		var found []string
		for _, have := range c.Dependencies() {
			if have.Name() == want.Name {
				found = append(found, have.Metadata.Version)
			}
		}
		fits := func(version string) bool {
			return version == want.Version || chartutil.IsCompatibleRange(want.Version, version)
		}
		if len(found) > 0 && !slices.ContainsFunc(found, fits) {
			failed = append(failed, config(where, fmt.Sprintf("%s pins %s %s, and the charts folder of chart %s holds %s",
				lock, want.Name, want.Version, c.Name(), strings.Join(found, ", ")), nil, "Run: helm dependency build "+dir))
		}
	}
	return errors.Join(failed...)
}

// lockFits says whether the digest in a lock is that of the declared and the locked dependencies. Where a dependency names its
// repository by an alias from the author's own Helm configuration the digest cannot be known, and counts as right.
func lockFits(c *chart.Chart) bool {
	declared := c.Metadata.Dependencies
	for _, d := range declared {
		if strings.HasPrefix(d.Repository, "@") || strings.HasPrefix(d.Repository, "alias:") {
			return true
		}
	}
	accepted := []string{lockDigest([2][]*chart.Dependency{declared, c.Lock.Dependencies})}
	if c.Metadata.APIVersion == chart.APIVersionV1 { // locked by Helm 2, perhaps
		accepted = append(accepted, lockDigest(map[string][]*chart.Dependency{"dependencies": declared}))
	}
	return slices.Contains(accepted, c.Lock.Digest)
}

// lockDigest is Helm's digest of dependencies: that of their JSON.
func lockDigest(of any) string {
	data, err := json.Marshal(of)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
