package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestDiff: an officer sees part by part what is cut out, what is said less
// exactly and by which rule, and below it only what the partner sees.
func TestDiff(t *testing.T) {
	const head = `{"type":"infrastructure","spec_version":"2.1","id":"infrastructure--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`
	reason := func(code string, selector string) web.Spoken {
		return web.Spoken{Reason: noroshi.Reason{Code: code, Clause: "1", Args: []string{selector}, Outcome: noroshi.Redact}}
	}
	p := web.Previewed{ID: "infrastructure--00000000-0000-4000-8000-000000000001", Outcome: "redact", Label: "TLP:GREEN",
		Held: head + `"name":"n","first_seen":"2026-11-20T03:04:05Z","x_d":{"a":"198.51.100.7","b":"gone"}}`,
		Sees: head + `"name":"n","first_seen":"2026-11-20T03:00:00Z","x_d":{"a":"198.51.100.0/24"}}`,
		Cut: []web.Withheld{{Selector: "first_seen", Value: `"2026-11-20T03:04:05Z"`, How: noroshi.ToHour, Sees: "2026-11-20T03:00:00Z"},
			{Selector: "x_d.a", Value: `"198.51.100.7"`, How: noroshi.ToPrefix, Sees: "198.51.100.0/24"}, {Selector: "x_d.b", Value: `"gone"`}},
		Rules: []web.Spoken{reason("generalise.hour", "first_seen"), reason("generalise.prefix", "x_d.a"), reason("generalise.cut", "x_d.b")}}
	for lang, want := range map[locale.Lang][]string{
		locale.EN: {`  ~ first_seen: "2026-11-20T03:04:05Z" → "2026-11-20T03:00:00Z"  [clause 1 gives “first_seen” to the hour]`, `  ~ x_d.a: "198.51.100.7" → "198.51.100.0/24"`, `  - x_d.b: "gone"  [clause 1 lets “x_d.b” not be sent]`, `    x_d: {"a":"198.51.100.0/24"}`},
		locale.JA: {"[条項 1 により「first_seen」を時単位に一般化]", "[条項 1 により「x_d.a」をネットワーク単位に一般化]"},
	} {
		var out bytes.Buffer
		c := &cli{io: stdio{strings.NewReader(""), &out, &out}, lang: lang}
		c.diff(&out, p)
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: %s\nlacks %q", lang, out.String(), w)
			}
		}
		if n := strings.Count(out.String(), "198.51.100.7"); n != 1 {
			t.Errorf("%s: what is held is shown %d times:\n%s", lang, n, out.String())
		}
	}
}
