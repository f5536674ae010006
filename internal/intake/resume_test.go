package intake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// lines returns a list of n entries.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "host-%06d.%063d.%063d.example\n", i, 0, 0)
	}
	return b.String()
}

// jsonLines returns n indicators.
func jsonLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(indicator(i, old, fmt.Sprintf("[domain-name:value='h%d.example']", i), "") + "\n")
	}
	return b.String()
}

// TestResume interrupts an import and takes it up again: same run, what was
// admitted is passed over, nothing is missing, nothing is there twice.
func TestResume(t *testing.T) {
	for format, text := range map[string]string{"list": lines(2000), "stix": jsonLines(2000)} {
		t.Run(format, func(t *testing.T) {
			h := open(t, noroshi.Real, nil)
			ctx, cancel := context.WithCancel(t.Context())
			o := intake.ImportOptions{Name: "x", Size: int64(len(text)), Progress: func(p intake.Progress) {
				if p.Objects >= 1000 {
					cancel()
				}
			}}
			first, err := h.Import(ctx, strings.NewReader(text), o)
			if !errors.Is(err, context.Canceled) || first.New != 1000 {
				t.Fatalf("interrupted: %s, error %v; want 1000 new and a cancellation", sum(first), err)
			}
			o.Progress = nil
			r, err := h.Import(t.Context(), struct{ io.Reader }{strings.NewReader(text)}, o) // also where nothing can seek
			if err != nil || r.Run != first.Run || r.Resumed != 1000 || r.New != 1000 || r.Unchanged != 0 {
				t.Errorf("taken up: %s resumed %d run %s, error %v; want run %s", sum(r), r.Resumed, r.Run, err, first.Run)
			}
			body, err := h.store.Doc(t.Context(), intake.RunDoc, r.Run)
			if err != nil {
				t.Fatal(err)
			}
			run, err := intake.ReadRun(body)
			if err != nil || !run.Done || run.Elements != 2000 || run.Counts.New != 2000 || run.Sum != noroshi.Sum([]byte(text)) || run.Offset != int64(len(text)) {
				t.Errorf("run document %+v, error %v; want it done with 2000", run, err)
			}
			again := h.take("x", text, intake.ImportOptions{Size: o.Size})
			if again.Run == r.Run || again.Unchanged != 2000 || again.Resumed != 0 {
				t.Errorf("a further import: %s of run %s, want another run and all unchanged", sum(again), again.Run)
			}
		})
	}
}

// TestResumeOfAChangedFile takes the whole of it: at once where it can be read
// again, else when it is imported again.
func TestResumeOfAChangedFile(t *testing.T) {
	text := lines(1500)
	for name, changed := range map[string]string{
		"other": strings.Replace(text, "host-000700.", "evil-000700.", 1),
		"cut":   text[:len(text)/2],
	} {
		for _, seeks := range []bool{true, false} {
			h := open(t, noroshi.Real, nil)
			ctx, cancel := context.WithCancel(t.Context())
			o := intake.ImportOptions{Name: "x", Progress: func(p intake.Progress) {
				if p.Objects >= 1000 {
					cancel()
				}
			}}
			if _, err := h.Import(ctx, strings.NewReader(text), o); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			again := func() (intake.Report, error) {
				var r io.Reader = strings.NewReader(changed)
				if !seeks {
					r = struct{ io.Reader }{r}
				}
				return h.Import(t.Context(), r, intake.ImportOptions{Name: "x"})
			}
			r, err := again()
			if !seeks {
				if noroshi.KindOf(err) != noroshi.Conflict {
					t.Errorf("%s from a pipe: error %v, want Conflict", name, err)
				}
				r, err = again()
			}
			if err != nil || r.Resumed != 0 || r.New+r.Unchanged != strings.Count(changed+"\n", "example\n") {
				t.Errorf("%s: %s resumed %d, error %v; want all of it read", name, sum(r), r.Resumed, err)
			}
			if list, err := h.store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1000, After: 0}); err != nil || len(list) == 0 {
				t.Errorf("%d indicators, error %v", len(list), err)
			}
		}
	}
}

// TestUrgentActsGoFirst: an import gives way in the middle of a slice, and
// nothing is left out or put twice for it.
func TestUrgentActsGoFirst(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	ctx, cancel := context.WithCancel(t.Context())
	urgent := make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			_, err := h.store.Do(ctx, noroshi.Act{Action: noroshi.ActAck, Subject: "w", Precedence: noroshi.Flash}, func(tx *store.Tx) error {
				return tx.PutDoc("urgent", "x", fmt.Append(nil, n))
			})
			if err != nil {
				urgent <- err
				return
			}
		}
	}()
	const total = 300
	var text strings.Builder
	for i := range total { // of a hundred values each: one act of them all would take a tenth of a second
		var p []string
		for j := range 100 {
			p = append(p, fmt.Sprintf("domain-name:value='h%d-%d.example'", i, j))
		}
		text.WriteString(indicator(i, old, "["+strings.Join(p, " OR ")+"]", "") + "\n")
	}
	r := h.take("x.json", text.String(), intake.ImportOptions{})
	cancel()
	if err := <-urgent; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if r.New != total || r.Unchanged != 0 || r.NotArmed != 0 {
		t.Errorf("%s, want %d new", sum(r), total)
	}
	imports, counted := 0, 0
	for _, e := range h.ledger() {
		if e.Act.Action == noroshi.ActImport {
			imports++
			counted += e.Act.Count
		}
	}
	if imports < 4 || counted != total {
		t.Errorf("%d import acts count %d, want at least 4 that count %d", imports, counted, total)
	}
}
