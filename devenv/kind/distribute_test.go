package kind

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// readAll is a receiver that keeps what it gets.
func readAll(into *[]byte) receiver {
	return func(_ context.Context, in io.Reader) (err error) {
		*into, err = io.ReadAll(in)
		return err
	}
}

var testLimits = limits{stall: time.Minute, finish: 10 * time.Minute}

// pour is a source.
func pour(data []byte) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func TestDistributeGivesEveryReceiverEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := bytes.Repeat([]byte("0123456789abcdef"), rapid.IntRange(0, 3<<16).Draw(t, "length"))
		got := make([][]byte, rapid.IntRange(1, 4).Draw(t, "receivers"))
		var receivers []receiver
		for i := range got {
			receivers = append(receivers, readAll(&got[i]))
		}
		piece := rapid.IntRange(1, 2<<20).Draw(t, "written at once")
		sent, errs := distribute(context.Background(), testLimits, func(_ context.Context, w io.Writer) error {
			for part := range slices.Chunk(data, piece) {
				if _, err := w.Write(part); err != nil {
					return err
				}
			}
			return nil
		}, receivers)
		if err := errors.Join(errs...); err != nil || sent != int64(len(data)) {
			t.Fatalf("sent %d of %d: %v", sent, len(data), err)
		}
		for i := range got {
			if !bytes.Equal(got[i], data) {
				t.Fatalf("receiver %d got %d of %d bytes, or others", i, len(got[i]), len(data))
			}
		}
	})
}

func TestDistributeGoesOnWithoutThoseThatFail(t *testing.T) {
	data := make([]byte, 64<<20)
	full := errors.New("disk full")
	var got []byte
	_, errs := distribute(t.Context(), testLimits, pour(data), []receiver{
		func(context.Context, io.Reader) error { return full },
		readAll(&got),
		func(_ context.Context, in io.Reader) error {
			_, _ = io.CopyN(io.Discard, in, 5<<20)
			return full
		},
	})
	if len(got) != len(data) || errs[1] != nil {
		t.Errorf("the healthy one got %d bytes, %v", len(got), errs[1])
	}
	if !errors.Is(errs[0], full) || !errors.Is(errs[2], full) {
		t.Errorf("errors %v", errs)
	}
}

func TestDistributeGivesUpOneThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := make([]byte, 64<<20)
		var got []byte
		_, errs := distribute(t.Context(), testLimits, pour(data), []receiver{
			func(ctx context.Context, _ io.Reader) error { // a docker exec in a frozen node: it ends when it is killed
				<-ctx.Done()
				return errors.New("signal: killed")
			},
			readAll(&got),
		})
		if len(got) != len(data) || errs[1] != nil {
			t.Errorf("the healthy one got %d bytes, %v", len(got), errs[1])
		}
		if !errors.Is(errs[0], errSlow) {
			t.Errorf("the frozen one failed with %v", errs[0])
		}
	})
}

func TestDistributeGivesUpOneThatNeverEnds(t *testing.T) {
	for name, size := range map[string]int{"of a little": 10, "of a lot": 40 << 20, "of nothing": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				_, errs := distribute(t.Context(), testLimits, pour(make([]byte, size)), []receiver{func(ctx context.Context, in io.Reader) error {
					_, _ = io.Copy(io.Discard, in)
					<-ctx.Done()
					return ctx.Err()
				}})
				if took := time.Since(begin); !errors.Is(errs[0], errEndure) || took != testLimits.finish {
					t.Errorf("it failed with %v after %s", errs[0], took)
				}
			})
		})
	}
}

func TestDistributeWaitsForASlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []byte
		_, errs := distribute(t.Context(), testLimits, func(_ context.Context, w io.Writer) error {
			for range 3 {
				time.Sleep(10 * time.Minute)
				if _, err := w.Write(make([]byte, 3<<20)); err != nil {
					return err
				}
			}
			return nil
		}, []receiver{readAll(&got)})
		if len(got) != 9<<20 || errs[0] != nil {
			t.Errorf("it got %d bytes, %v", len(got), errs[0])
		}
	})
}

func TestDistributeWaitsForOneThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := make([]byte, 40<<20)
		read := 0
		_, errs := distribute(t.Context(), testLimits, pour(data), []receiver{func(_ context.Context, in io.Reader) error {
			for buf := make([]byte, 1<<20); ; {
				n, err := in.Read(buf)
				if read += n; err != nil {
					return nil
				}
				time.Sleep(50 * time.Second)
			}
		}})
		if read != len(data) || errs[0] != nil {
			t.Errorf("it got %d bytes, %v", read, errs[0])
		}
	})
}

func TestDistributeStopsTheSourceWhenNobodyIsLeft(t *testing.T) {
	gone := errors.New("node is gone")
	_, errs := distribute(t.Context(), testLimits, func(_ context.Context, w io.Writer) error {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<20)); err != nil {
				return errors.New("write failed") // whatever a source makes of it
			}
		}
	}, []receiver{func(context.Context, io.Reader) error { return gone }})
	if !errors.Is(errs[0], gone) {
		t.Errorf("the receiver failed with %v", errs[0])
	}
}

func TestDistributeTellsReceiversThatTheSourceFailed(t *testing.T) {
	noImage := errors.New("no such image")
	var seen error
	_, errs := distribute(t.Context(), testLimits, func(_ context.Context, w io.Writer) error {
		_, _ = w.Write(make([]byte, 3<<20))
		return noImage
	}, []receiver{func(_ context.Context, in io.Reader) error {
		_, seen = io.Copy(io.Discard, in)
		return nil // a program that took the end of its input for the end of the archive
	}})
	if !errors.Is(seen, noImage) || !errors.Is(errs[0], noImage) {
		t.Errorf("it saw %v and failed with %v", seen, errs[0])
	}
}

func TestDistributeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, errs := distribute(ctx, testLimits, func(_ context.Context, w io.Writer) error {
		cancel()
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	}, []receiver{func(ctx context.Context, in io.Reader) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	if !errors.Is(errs[0], context.Canceled) {
		t.Errorf("it failed with %v", errs[0])
	}
}
