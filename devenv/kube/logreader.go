package kube

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/event"
)

// reader reads what one container of one pod writes, through its restarts.
type reader struct {
	c    *Cluster
	pod  *corev1.Pod
	line event.LogLine // what every line has in common
	from corev1.PodLogOptions
	sink event.Sink

	last time.Time // of the newest line that was emitted: where reading goes on
}

func newReader(c *Cluster, p *corev1.Pod, container string, o LogOptions, sink event.Sink) *reader {
	r := &reader{c: c, pod: p, line: event.LogLine{Pod: p.Name, Container: container}, sink: sink}
	r.from = corev1.PodLogOptions{Container: container, Timestamps: true}
	if o.Tail > 0 {
		n := int64(o.Tail)
		r.from.TailLines = &n
	}
	if o.Since > 0 {
		at := metav1.NewTime(c.now().Add(-o.Since))
		r.from.SinceTime = &at
	}
	d := describe(p, o.Services)
	r.line.Service = d.Services[0]
	for _, k := range d.Containers {
		if k.Name == container && k.Service != "" {
			r.line.Service = k.Service
		}
	}
	return r
}

// readOnce reads what there is. A container that has not written yet has nothing.
func (r *reader) readOnce(ctx context.Context) error {
	err := r.stream(ctx, r.from)
	if apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) {
		return nil // it has not started, or its pod is gone
	}
	return err
}

// readOn reads until the pod is gone or ctx ends. view shows the namespace's pods, and news rings after it changed.
func (r *reader) readOn(ctx context.Context, view *picture, news *bell) error {
	done, restarts := "", int32(0) // the instance that was read to its end
	for ctx.Err() == nil {
		heard := news.listen()
		s, there := r.status(view)
		if !there {
			return nil
		}
		id := instance(s)
		if id == "" || id == done {
			select {
			case <-heard:
			case <-ctx.Done():
			}
			continue
		}
		if done != "" && s.RestartCount > restarts+1 {
			missed := r.next()
			missed.Previous = true
			_ = r.stream(ctx, missed) // at most the runs before that one are lost; the kubelet keeps no more
		}
		o := r.next()
		o.Follow = true
		err := r.stream(ctx, o)
		if ctx.Err() != nil {
			return nil
		}
		// The stream ends with the container, or when the connection does; in the latter case the container still runs.
		now, there := r.status(view)
		if err == nil && (!there || instance(now) != id || now.State.Running == nil) {
			done, restarts = id, s.RestartCount
			continue
		}
		if sleep(ctx, 300*time.Millisecond) != nil {
			return nil
		}
	}
	return nil
}

// next is how reading goes on after what was emitted so far.
func (r *reader) next() corev1.PodLogOptions {
	o := r.from
	if !r.last.IsZero() {
		at := metav1.NewTime(r.last) // whole seconds on the wire: lines of the same second come again, and are skipped
		o.SinceTime, o.TailLines = &at, nil
	}
	return o
}

// status is the container's status as last seen; false when its pod is gone.
func (r *reader) status(view *picture) (corev1.ContainerStatus, bool) {
	items, _ := view.look()
	u := items[r.pod.UID]
	if u == nil {
		return corev1.ContainerStatus{}, false
	}
	p, err := podOf(u)
	if err != nil {
		return corev1.ContainerStatus{}, true
	}
	all := containerStatuses(p)
	i := slices.IndexFunc(all, func(s corev1.ContainerStatus) bool { return s.Name == r.line.Container })
	if i < 0 {
		return corev1.ContainerStatus{}, true
	}
	return all[i], true
}

// instance identifies a run of a container that can be read: the one that runs, or the last one that ended.
func instance(s corev1.ContainerStatus) string {
	switch {
	case s.State.Running != nil:
		return s.ContainerID
	case s.State.Terminated != nil:
		return s.State.Terminated.ContainerID
	case s.LastTerminationState.Terminated != nil:
		return s.LastTerminationState.Terminated.ContainerID
	}
	return ""
}

// stream emits the lines of one request that are newer than the last one.
func (r *reader) stream(ctx context.Context, o corev1.PodLogOptions) error {
	body, err := r.c.core.Pods(r.pod.Namespace).GetLogs(r.pod.Name, &o).Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	seen := r.last
	return eachLine(body, func(text string) {
		l := r.line
		if stamp, rest, ok := strings.Cut(text, " "); ok {
			if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
				l.At, text = at, rest
			}
		} else if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			l.At, text = at, "" // an empty line
		}
		if !l.At.IsZero() && !l.At.After(seen) {
			return
		}
		if l.At.After(r.last) {
			r.last = l.At
		}
		l.Text = strings.TrimSuffix(text, "\r")
		r.sink.Emit(l)
	})
}

// longestLine bounds what is kept of a line: a container that writes without ever ending a line must not fill the memory.
const longestLine = 1 << 20

// eachLine calls emit with each line, without its end. It returns nil at the end of the stream.
func eachLine(r io.Reader, emit func(string)) error {
	in := bufio.NewReaderSize(r, 32<<10)
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if room := longestLine - len(line); room > 0 {
			line = append(line, part[:min(room, len(part))]...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && len(line) == 0:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		emit(strings.TrimSuffix(string(line), "\n"))
		line = line[:0]
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}
