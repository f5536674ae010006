package message_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// listContent is a batch of list-made indicators of real entries.
func listContent(t testing.TB, n int) []byte {
	t.Helper()
	var list []message.Object
	lines := strings.Split(strings.TrimSpace(string(unpacked(t, demodata.Lists(), "trails.tsv.gz"))), "\n")
	for _, line := range lines {
		kind, value, _ := strings.Cut(line, "\t")
		if kind != string(noroshi.DomainName) && kind != string(noroshi.IPv4) {
			continue
		}
		if list = append(list, message.Object{Bytes: listed("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "trails", "2026-11-20T03:04:05.678Z",
			noroshi.ValueKind(kind), value, 1)}); len(list) == n {
			break
		}
	}
	return message.EncodeObjects(list)
}

var every = []uint8{2, 128, 129}

func TestPackings(t *testing.T) {
	t.Parallel()
	real := published(t, "candiru.json.gz", "indicator")
	batch := func(n int) []byte {
		var list []message.Object
		for _, o := range real[:n] {
			list = append(list, message.Object{Bytes: o})
		}
		return message.EncodeObjects(list)
	}
	again := listed("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "trails", "2026-11-20T03:04:05.678Z", noroshi.DomainName, "example.com", 3)
	for _, c := range []struct {
		name    string
		content []byte
		narrow  bool
		want    uint8
		most    int // bytes
	}{
		{"one real indicator", batch(1), false, 2, 145},
		{"one real indicator, narrow", batch(1), true, 129, 75},
		{"ten real indicators, narrow", batch(10), true, 129, 600},
		{"a hundred real indicators", batch(100), false, 2, 6500},
		{"a hundred real indicators, narrow", batch(100), true, 129, 4700},
		{"what is worth no work, narrow", bytes.Repeat([]byte("a"), 60_000), true, 1, 100},
		{"a list", listContent(t, 1000), true, 128, 1000 * 445 / 25},
		{"one of a list", listContent(t, 1), false, 128, 90},
		{"back for the third time", message.EncodeObjects([]message.Object{{Bytes: again}, {Bytes: again}, {Bytes: again}}), false, 128, 200},
		{"five bytes", []byte("short"), false, 0, 5},
	} {
		comp, b := message.Compress(c.content, every, c.narrow)
		if comp != c.want || len(b) > c.most {
			t.Errorf("%s: %d bytes became %d by number %d, want at most %d by %d", c.name, len(c.content), len(b), comp, c.most, c.want)
		}
		got, err := message.Decompress(comp, b, len(c.content))
		if err != nil || !bytes.Equal(got, c.content) {
			t.Errorf("%s: comes back as %d bytes, %v", c.name, len(got), err)
		}
		if comp, _ := message.Compress(c.content, nil, c.narrow); comp > 1 {
			t.Errorf("%s: number %d without an agreement", c.name, comp)
		}
	}
}

// TestShortProfileIsBounded: what it makes a reader do is bounded by what came.
func TestShortProfileIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ bytes, size int }{{16, 1025}, {1000, 64_001}, {2000, 65_537}} {
		if _, err := message.Lengthen(make([]byte, c.bytes), c.size); codeOf(err) != "message.compression" {
			t.Errorf("%d bytes for %d: %v", c.bytes, c.size, err)
		}
	}
}

// What an agreement does not pin, by number and hash, is neither used nor read.
func TestPackingsAgreed(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	hash := message.DictionaryHash().String()
	a := &noroshi.Agreement{Dictionaries: []noroshi.Dictionary{{Number: 2, Hash: hash}, {Number: 128, Hash: strings.Repeat("0", 64)}, {Number: 7, Hash: hash}}}
	if got := message.Packings(a); !bytes.Equal(got, []byte{2}) {
		t.Errorf("got %v, want 2 alone", got)
	}
	if got := message.Packings(nil); got != nil {
		t.Errorf("without an agreement: got %v", got)
	}
	if got := message.Packings(&noroshi.Agreement{Dictionaries: noroshi.KnownDictionaries()}); !bytes.Equal(got, every) {
		t.Errorf("all that are known: got %v", got)
	}
	out, in := p.out(), p.in()
	out.Packings = every
	m := p.sign(t, dataHeader(1), listContent(t, 100))
	e := sealed(t, message.Plain{Message: m}, out)
	if _, err := message.Unseal(p.b, in, e); codeOf(err) != "message.compression" {
		t.Errorf("not pinned: got %v", err)
	}
	in.Packings = []uint8{128}
	if got, err := message.Unseal(p.b, in, e); err != nil || !bytes.Equal(got.Message.Content, m.Content) {
		t.Errorf("pinned: got %v", err)
	}
}

// Whatever is not exactly what a list makes is not coded as such.
func TestListedOnlyAsMade(t *testing.T) {
	t.Parallel()
	good := string(listed("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "trails", "2026-11-20T03:04:05.678Z", noroshi.DomainName, "example.com", 1))
	other := string(listed("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "trails", "2026-11-20T03:04:05.679Z", noroshi.DomainName, "example.org", 1))
	content := func(view uint32, list ...string) []byte {
		var objects []message.Object
		for _, o := range list {
			objects = append(objects, message.Object{View: view, Bytes: []byte(o)})
		}
		return message.EncodeObjects(objects)
	}
	for name, c := range map[string][]byte{
		"a view":         content(1, good),
		"two times":      content(0, good, other),
		"another name":   content(0, strings.Replace(good, `"name":"trails"`, `"name":"other"`, 1)),
		"another id":     content(0, strings.Replace(good, `indicator--`, `indicator--0`, 1)),
		"a space":        content(0, strings.Replace(good, `","`, `", "`, 1)),
		"one more":       content(0, strings.Replace(good, `}`, `,"revoked":true}`, 1)),
		"another case":   content(0, strings.Replace(good, `5a1f6c2e`, `5A1F6C2E`, 1)),
		"a quoted value": content(0, string(listed("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "trails", "2026-11-20T03:04:05.678Z", noroshi.URL, `http://e/\'`, 1))),
		"no objects":     bytes.Repeat([]byte(good), 2),
	} {
		if comp, _ := message.Compress(c, []uint8{128}, false); comp == 128 {
			t.Errorf("%s is coded as a list", name)
		}
	}
}

// BenchmarkBudgetBytes tells what real indicators cost, per indicator, next to
// what else carries them. Nothing of it depends on the machine.
func BenchmarkBudgetBytes(b *testing.B) {
	p := newPair(b, noroshi.Real)
	out, _ := p.narrow()
	out.Packings = every
	var real [][]byte
	for _, name := range []string{"candiru.json.gz", "kingspawn.json.gz", "rcs.json.gz"} {
		real = append(real, published(b, name, "indicator")...)
	}
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("list/%d", n), func(b *testing.B) { bytesOf(b, p, out, "list", listContent(b, n), n) })
		if n <= 100 {
			b.Run(fmt.Sprintf("real/%d", n), func(b *testing.B) {
				var list []message.Object
				for _, o := range spread(real, n) {
					list = append(list, message.Object{Bytes: o})
				}
				bytesOf(b, p, out, "real", message.EncodeObjects(list), n)
			})
		}
	}
}

func bytesOf(b *testing.B, p *pair, out message.Outbound, what string, content []byte, n int) {
	h := dataHeader(1)
	h.Label = "TLP:GREEN"
	m := message.Plain{Message: p.sign(b, h, content)}
	wide := out
	wide.Suite = message.S1
	objects, err := message.DecodeObjects(content)
	if err != nil {
		b.Fatal(err)
	}
	page := struct {
		Objects []json.RawMessage `json:"objects"`
	}{}
	for _, o := range objects {
		page.Objects = append(page.Objects, o.Bytes)
	}
	taxii, err := json.Marshal(page)
	if err != nil {
		b.Fatal(err)
	}
	var narrow, s1 []byte
	for b.Loop() {
		narrow, s1 = sealed(b, m, out), sealed(b, m, wide)
	}
	per := func(size int, unit string) { b.ReportMetric(float64(size)/float64(n), unit) }
	per(len(narrow), fmt.Sprintf("B-S2-%s-%d", what, n))
	per(len(s1), fmt.Sprintf("B-S1-%s-%d", what, n))
	per(len(taxii), fmt.Sprintf("B-taxii-%s-%d", what, n))
	per(gzipped(b, taxii), fmt.Sprintf("B-gzip-%s-%d", what, n))
	_, z := message.Compress(taxii, nil, false)
	per(len(z), fmt.Sprintf("B-zstd-%s-%d", what, n))
	b.ReportMetric(float64(len(taxii))/float64(len(s1)), fmt.Sprintf("x-json-over-S1-%s-%d", what, n))
}
