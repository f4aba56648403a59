package kind

import "time"

// Hurry shortens how long a node may take nothing while an image is sent to it.
func (k *Clusters) Hurry(stall time.Duration) { k.wait.load.stall = stall }
