package lift_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/internal/oracle"
	"github.com/noroshi-cti/noroshi/stix"
)

// root is the top of the module.
const root = "../../../"

var feed = lift.Feed{
	Name: "feed", Self: "identity--11111111-1111-4111-8111-111111111111",
	Space: [16]byte{0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x41, 0x11, 0x81, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11},
	First: at("2026-11-22T10:00:00.000Z"),
}

func at(text string) stix.Time {
	t, err := stix.ParseTime(text)
	if err != nil {
		panic(err)
	}
	return t
}

// read lifts a document of a format that must tell itself.
func read(t testing.TB, format, text string) lift.Document {
	t.Helper()
	f := lift.Told([]byte(text[:min(len(text), 64<<10)]))
	if f == nil || f.Name != format {
		t.Fatalf("told as %v, want %s", f, format)
	}
	d, err := f.Lift([]byte(text), feed)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// objects returns the objects of a document, those to be made as they are the
// first time.
func objects(t testing.TB, d lift.Document) (list []*stix.Object) {
	t.Helper()
	for _, item := range d.Items {
		o := item.Object
		if item.Make != nil {
			created := item.Created
			if created.IsZero() {
				created = feed.First
			}
			var err error
			if o, err = item.Make(created, created); err != nil {
				t.Fatal(err)
			}
		}
		if o != nil {
			list = append(list, o)
		}
	}
	return list
}

// faults shows the faults of a document.
func faults(d lift.Document) (list []string) {
	for _, item := range d.Items {
		if item.Fault != nil {
			list = append(list, item.Fault.Msg)
		}
	}
	return list
}

// codes counts the notes of a document.
func codes(d lift.Document) string {
	count := map[string]int{}
	for _, n := range d.Notes {
		count[strings.Join(append([]string{n.Code}, n.Args...), " ")]++
	}
	var list []string
	for code, n := range count {
		list = append(list, fmt.Sprintf("%s×%d", code, n))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// sound holds objects against our own check and against the OASIS schemas.
func sound(t testing.TB, list []*stix.Object) {
	t.Helper()
	judge, err := oracle.New(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if problems := stix.Validate(o); len(problems) > 0 {
			t.Errorf("%s\n%+v", o.Bytes(), problems)
		}
		if err := judge.Bytes(o.Bytes()); err != nil {
			t.Errorf("%s\n%v", o.Bytes(), err)
		}
	}
}

func file(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return string(b)
}

// property decodes a property of an object.
func property(t testing.TB, o *stix.Object, name string) any {
	t.Helper()
	if o.Property(name) == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(o.Property(name), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
