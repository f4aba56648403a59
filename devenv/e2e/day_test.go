package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOneNode(t *testing.T) {
	parallel(t, 330*time.Second)
	day(t, newWorld(t, "e2e", ""), 1)
}

func TestThreeNodes(t *testing.T) {
	parallel(t, 345*time.Second)
	day(t, newWorld(t, "e2e3", "three-nodes"), 3)
}

// day is a developer's day with the sample app. Each step builds on the one before it.
func day(t *testing.T, w *world, nodes int) {
	edited := unique("edited")
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}

	replicas := func(t *testing.T) string {
		t.Helper()
		return w.kubectl(t, "-n", "academy", "get", "deployment", "grades", "-o", "jsonpath={.spec.replicas}")
	}

	step("plan on an empty machine says what up will do, and changes nothing", func(t *testing.T) {
		r := w.devenv(t, "plan").must(t, 0)
		if n := r.steps(t); n < 20 {
			t.Errorf("%d steps planned\n%s", n, r.summary())
		}
		if nodes := containers(t, w.cluster()); len(nodes) != 0 {
			t.Errorf("plan made %v", nodes)
		}
	})

	step("fresh up makes the platform ready, and the smoke test passes through every part", func(t *testing.T) {
		w.devenv(t, "up").must(t, 0)
		if got := containers(t, w.cluster()); len(got) != nodes {
			t.Errorf("nodes: %v, want %d", got, nodes)
		}
		w.smoke(t)
	})

	step("up again executes no step", func(t *testing.T) {
		// The autoscaler makes the second pod of grades in its own time, and up waits for one that is on its way.
		w.kubectl(t, "-n", "academy", "wait", "--for=jsonpath={.status.readyReplicas}=2", "deployment/grades", "--timeout="+patience.String())
		var took []int64
		eventually(t, "less than a second", func() error { // other scenarios run beside this one, and the shortest says what devenv needs
			r := w.devenv(t, "up").must(t, 0)
			if n := r.steps(t); n != 0 {
				t.Fatalf("%d steps\n%s", n, r.summary())
			}
			if took = append(took, r.result().TookMs); took[len(took)-1] >= 1000 {
				return fmt.Errorf("it took %v ms", took)
			}
			return nil
		})
	})

	step("status shows every service current, with its pods", func(t *testing.T) {
		eventually(t, "two pods of every service", func() error {
			r := w.devenv(t, "status").must(t, 0)
			i := slices.IndexFunc(r.events, func(e event) bool { return e.Type == "status" })
			if i < 0 {
				t.Fatalf("no status\n%s", r.summary())
			}
			for _, s := range r.events[i].Services {
				if !s.Current || len(s.Pods) < 2 {
					return fmt.Errorf("%+v", s)
				}
			}
			return nil
		})
	})

	step("the pods of a service are spread over the nodes", func(t *testing.T) {
		for _, app := range []string{"web", "grades", "recommender"} {
			eventually(t, "its pods run on several nodes, where there are some", func() error {
				on := strings.Fields(w.kubectl(t, "-n", "academy", "get", "pods", "-l", "app.kubernetes.io/name="+app,
					"--field-selector", "status.phase=Running", "-o", "jsonpath={.items[*].spec.nodeName}"))
				slices.Sort(on)
				if different := slices.Compact(slices.Clone(on)); len(on) < 2 || len(different) < min(2, nodes) {
					return fmt.Errorf("the pods of %s are on %v", app, on)
				}
				return nil
			})
		}
	})

	step("logs merge the containers of a service", func(t *testing.T) {
		r := w.devenv(t, "logs", "web", "--tail", "5").must(t, 0)
		if !strings.Contains(r.stdout, `"container":"log-forwarder"`) {
			t.Errorf("no line of the log forwarder:\n%s", r.stdout)
		}
	})

	step("an edit rolls out its service only, and no request fails meanwhile", func(t *testing.T) {
		stop := w.asking(t, "recommender", "8080", "/version", 4)
		w.edit(t, "services/recommender/academy_recommender/__init__.py", `VERSION = "1.4.2"`, `VERSION = "`+edited+`"`)
		r := w.devenv(t, "up").must(t, 0)
		report := stop()
		if built := r.subjects("image.built"); !slices.Equal(built, []string{"recommender"}) {
			t.Errorf("built %v", built)
		}
		if loaded := r.subjects("image.loaded"); !slices.Equal(loaded, []string{"recommender"}) {
			t.Errorf("loaded %v", loaded)
		}
		if applied := r.subjects("object.applied"); !slices.Equal(applied, []string{"Deployment/academy/recommender"}) {
			t.Errorf("applied %v", applied)
		}
		if !strings.Contains(r.summary(), "services/recommender/academy_recommender/__init__.py changed") {
			t.Errorf("the cause is not named:\n%s", r.summary())
		}
		if report.Failed > 0 || report.Requests < 100 {
			t.Errorf("%d of %d requests failed: %v", report.Failed, report.Requests, report.Errors)
		}
		if !report.answers("1.4.2") || !report.answers(edited) {
			t.Errorf("answers: %v, want those of the old and of the new version", report.Bodies)
		}
	})

	if nodes > 1 {
		step("a file that dev syncs is in the pods of all nodes, and back again", func(t *testing.T) {
			const file = "services/web/templates/courses.php"
			data, err := os.ReadFile(filepath.Join(w.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			dev, _, _ := w.start(context.Background(), "dev", "web", "--settle-after", "1h")
			dev.Stdout, dev.Stderr = nil, nil
			d := watch(t, dev)
			pods := strings.Fields(w.kubectl(t, "-n", "academy", "get", "pods", "-l", "app.kubernetes.io/name=web", "-o", "jsonpath={.items[*].metadata.name}"))
			for _, text := range []string{edited + string(data), string(data)} { // in three containers of each pod
				from := d.now()
				if err := os.WriteFile(filepath.Join(w.dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				done := d.wait(from, "dev.shortcut.done", nil)
				if !done.OK || done.Way != "sync" && done.Way != "none" || !strings.Contains(done.line, "1 file into 6 containers") {
					t.Errorf("%s", done.line)
				}
				for _, pod := range pods {
					if got := w.kubectl(t, "-n", "academy", "exec", pod, "-c", "php-fpm", "--", "cat", "/app/templates/courses.php"); got != strings.TrimSpace(text) {
						t.Errorf("%s has\n%s", pod, got)
					}
				}
			}
			if code := d.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}

	step("up SERVICE does what the service needs, and a pod that it shares stays whole", func(t *testing.T) {
		style := "services/web/nginx/static/style.css"
		data, err := os.ReadFile(filepath.Join(w.dir, style))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.dir, style), append(data, "/* "+edited+" */\n"...), 0o644); err != nil {
			t.Fatal(err)
		}
		if n := w.devenv(t, "up", "recommender").must(t, 0).steps(t); n != 0 {
			t.Errorf("up recommender did %d steps for a change of web-nginx", n)
		}
		r := w.devenv(t, "up", "web-nginx").must(t, 0)
		if applied := r.subjects("object.applied"); !slices.Equal(applied, []string{"Deployment/academy/web"}) {
			t.Errorf("applied %v\n%s", applied, r.summary())
		}
	})

	step("data in PostgreSQL survives its pod and its node", func(t *testing.T) {
		student := fmt.Sprintf("Survivor %d", time.Now().Unix())
		w.smoke(t, "STUDENT="+student)
		count := func() (string, error) {
			return w.tryKubectl("-n", "academy", "exec", "postgres-0", "--", "psql", "-U", "academy", "-d", "academy", "-tA", "-c",
				"select count(*) from enrolments where student = '"+student+"'")
		}
		found := func() error {
			n, err := count()
			if err == nil && n == "0" {
				return errors.New("the enrolment is gone")
			}
			if err != nil {
				return fmt.Errorf("%w: %s", err, n)
			}
			return nil
		}
		eventually(t, "the enrolment is in the database", found)
		w.kubectl(t, "-n", "academy", "delete", "pod", "postgres-0")
		w.devenv(t, "up").must(t, 0)
		eventually(t, "the enrolment survives the pod", found)

		node := w.kubectl(t, "-n", "academy", "get", "pod", "postgres-0", "-o", "jsonpath={.spec.nodeName}")
		if out, err := exec.Command("docker", "restart", node).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		w.devenv(t, "up").must(t, 0)
		eventually(t, "the enrolment survives the node", found)
		w.smoke(t)
	})

	step("a stopped cluster is started", func(t *testing.T) {
		if out, err := exec.Command("docker", append([]string{"stop"}, containers(t, w.cluster())...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		r := w.devenv(t, "up").must(t, 0)
		if loaded := r.subjects("image.loaded"); len(loaded) != 0 {
			t.Errorf("loaded %v, which the nodes hold", loaded)
		}
		if started := r.subjects("cluster.started"); len(started) != 1 {
			t.Errorf("started %v\n%s", started, r.summary())
		}
		w.smoke(t)
	})

	step("load makes the autoscaler add a pod", func(t *testing.T) {
		eventually(t, "the autoscaler knows the load", func() error {
			if out := w.kubectl(t, "-n", "academy", "get", "hpa", "grades", "-o", "jsonpath={.status.currentMetrics}"); !strings.Contains(out, "averageUtilization") {
				return errors.New("no metrics yet: " + out)
			}
			return nil
		})
		stop := w.asking(t, "grades", "8080", "/v1/report?terms=20000", 4)
		eventually(t, "a pod is added", func() error {
			if n := replicas(t); n != "3" && n != "4" {
				return errors.New(n + " replicas")
			}
			return nil
		})
		stop()
		// The autoscaler owns the number of pods: up has nothing to say about it.
		if n := w.devenv(t, "up").must(t, 0); len(n.subjects("object.applied")) != 0 {
			t.Errorf("up works against the autoscaler:\n%s", n.summary())
		}
	})

	step("a build error ends with 4 and the compiler's lines, and the old version serves", func(t *testing.T) {
		stop := w.asking(t, "grades", "8080", "/version", 2)
		broken := filepath.Join(w.dir, "services/grades/cmd/grades/broken.go")
		if err := os.WriteFile(broken, []byte("package main\n\nvar x int = \"text\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r := w.devenv(t, "up").must(t, 4)
		for _, want := range []string{"broken.go:3", "grades"} {
			if !strings.Contains(r.failure(), want) {
				t.Errorf("the error does not say %q:\n%s", want, r.failure())
			}
		}
		if report := stop(); report.Failed > 0 {
			t.Errorf("%d requests failed: %v", report.Failed, report.Errors)
		}
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		if n := w.devenv(t, "up").must(t, 0).steps(t); n != 0 {
			t.Errorf("%d steps after the error was taken back, want none", n)
		}
	})

	step("a version that crashes ends with 5 and its log, and the old version serves", func(t *testing.T) {
		stop := w.asking(t, "recommender", "8080", "/version", 2)
		const crash = "\nraise SystemExit(\"broken on purpose\")"
		w.edit(t, "services/recommender/academy_recommender/__init__.py", edited+`"`, edited+`"`+crash)
		r := w.devenv(t, "up").must(t, 5)
		for _, want := range []string{"Deployment/academy/recommender", "broken on purpose"} {
			if !strings.Contains(r.failure(), want) {
				t.Errorf("the error does not say %q:\n%s", want, r.failure())
			}
		}
		if report := stop(); report.Failed > 0 || report.answers("broken") {
			t.Errorf("%d of %d requests failed: %v", report.Failed, report.Requests, report.Errors)
		}
		if returned := r.of("workload.returned"); len(returned) != 1 || returned[0].Workload != "Deployment/academy/recommender" {
			t.Errorf("returned: %+v", returned)
		}
		w.edit(t, "services/recommender/academy_recommender/__init__.py", crash, "")
		if r := w.devenv(t, "up").must(t, 0); r.steps(t) != 0 {
			t.Errorf("what served is not what is declared:\n%s", r.summary())
		}
	})

	step("what somebody changes in the cluster is put back, and said", func(t *testing.T) {
		w.kubectl(t, "-n", "academy", "scale", "deployment", "recommender", "--replicas", "1")
		r := w.devenv(t, "up").must(t, 0)
		if applied := r.subjects("object.applied"); !slices.Equal(applied, []string{"Deployment/academy/recommender"}) {
			t.Errorf("applied %v\n%s", applied, r.summary())
		}
		if !strings.Contains(r.summary(), "replicas") {
			t.Errorf("the cause does not name the field:\n%s", r.summary())
		}
	})

	step("the pod that the autoscaler added goes again", func(t *testing.T) {
		eventually(t, "the pod goes again", func() error {
			if n := replicas(t); n != "2" {
				return fmt.Errorf("%s replicas", n)
			}
			return nil
		})
	})

	step("down --cluster is refused while the cluster holds data", func(t *testing.T) {
		r := w.devenv(t, "down", "--cluster").must(t, 7)
		if !strings.Contains(r.failure(), "PersistentVolumeClaim/academy/") {
			t.Errorf("the error does not name the data:\n%s", r.failure())
		}
	})

	step("down deletes what devenv applied and keeps the data; with --data nothing of ours is left", func(t *testing.T) {
		r := w.devenv(t, "down").must(t, 0)
		left := w.kubectl(t, "get", "all,configmap,secret,pdb,hpa,pvc", "-n", "academy", "-o", "name")
		for line := range strings.Lines(left) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "persistentvolumeclaim/") && line != "configmap/kube-root-ca.crt" {
				t.Errorf("down left %s", line)
			}
		}
		if !strings.Contains(left, "persistentvolumeclaim/") || !strings.Contains(r.summary(), "kept") {
			t.Errorf("the data is gone, or nobody says that it is kept: %s", left)
		}
		w.devenv(t, "down", "--data").must(t, 0)
		if out, err := w.tryKubectl("get", "namespace", "academy", "devenv-system"); err == nil || strings.Count(out, "NotFound") != 2 {
			t.Errorf("namespaces of ours are left: %s", out)
		}
		if left := w.kubectl(t, "get", "apiservice,clusterrole,clusterrolebinding", "-o", "name"); strings.Contains(left, "metrics") {
			t.Errorf("parts of the add-on are left:\n%s", left)
		}
	})

	step("down --cluster leaves no container, volume or identity", func(t *testing.T) {
		var mounts []string
		for _, node := range containers(t, w.cluster()) {
			out, err := exec.Command("docker", "inspect", "-f", `{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}`, node).Output()
			if err != nil {
				t.Fatal(err)
			}
			mounts = append(mounts, strings.Fields(string(out))...)
		}
		if len(mounts) == 0 {
			t.Fatal("the nodes have no volumes: this step checks nothing")
		}
		w.devenv(t, "down", "--cluster").must(t, 0)
		if left := containers(t, w.cluster()); len(left) != 0 {
			t.Errorf("containers left: %v", left)
		}
		for _, volume := range mounts {
			if err := exec.Command("docker", "volume", "inspect", volume).Run(); err == nil {
				t.Errorf("volume %s is left", volume)
			}
		}
		for _, name := range []string{"cluster.json", "kubeconfig"} {
			if _, err := os.Stat(w.state(name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left (%v)", name, err)
			}
		}
	})
}

// containers lists the node containers of a kind cluster.
func containers(t *testing.T, cluster string) []string {
	t.Helper()
	out, err := exec.Command("docker", "ps", "-a", "--filter", "label=io.x-k8s.kind.cluster="+cluster, "--format", "{{.Names}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
