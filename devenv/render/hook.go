package render

import (
	"slices"
	"strconv"
	"strings"
)

// hook is what the annotations of a chart's object make of it.
type hook struct {
	events       []string
	weight       int
	deletePolicy []string
}

// hookEvents are the moments that Helm knows, under the names that plan.Hook uses.
var hookEvents = map[string]string{
	"pre-install": "pre-install", "post-install": "post-install",
	"pre-upgrade": "pre-upgrade", "post-upgrade": "post-upgrade",
	"pre-delete": "pre-delete", "post-delete": "post-delete",
	"pre-rollback": "pre-rollback", "post-rollback": "post-rollback",
	"test": "test", "test-success": "test", // the second is Helm 2's name
}

// deploying are the events that belong to bringing a source up.
var deploying = []string{"pre-install", "post-install", "pre-upgrade", "post-upgrade"}

// hookOf reads the hook annotations of an object; nil for an ordinary one. An event that Helm does not know (crd-install of Helm
// 2, a spelling mistake) is returned as unknown: Helm then leaves the whole object out, and so must we.
func hookOf(value map[string]any) (h *hook, unknown string) {
	metadata, _ := value["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	events, ok := annotations["helm.sh/hook"].(string)
	if !ok {
		return nil, ""
	}
	h = &hook{}
	for _, name := range list(events) {
		event, ok := hookEvents[name]
		if !ok {
			return nil, strconv.Quote(name)
		}
		h.events = append(h.events, event)
	}
	weight, _ := annotations["helm.sh/hook-weight"].(string)
	h.weight, _ = strconv.Atoi(weight) // Helm takes anything else for 0
	h.deletePolicy = []string{"before-hook-creation"}
	if policies, ok := annotations["helm.sh/hook-delete-policy"].(string); ok {
		h.deletePolicy = list(policies)
	}
	return h, ""
}

// list splits a comma-separated annotation value.
func list(value string) []string {
	items := strings.Split(strings.ToLower(value), ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// planned says that devenv runs the hook while it brings a source up.
func (h *hook) planned() bool {
	return slices.ContainsFunc(h.events, func(e string) bool { return slices.Contains(deploying, e) })
}
