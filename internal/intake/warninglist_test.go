package intake_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
)

const testdata = "../../testdata/"

func realLists(t testing.TB) *intake.WarningLists {
	t.Helper()
	w, err := intake.ReadWarningLists(testdata + "warninglists.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWarningListFacts holds the facts of testdata/SOURCES.md.
func TestWarningListFacts(t *testing.T) {
	w := realLists(t)
	if n := len(w.Lists()); n != 25 {
		t.Errorf("read %d lists, want 25", n)
	}
	if f := w.Faults(); len(f) != 0 {
		t.Errorf("refused %v, want none", f)
	}
	top := []string{"cloudflare-top10k", "tranco10k"}
	azure := []string{"microsoft-azure"}
	for _, c := range []struct {
		kind noroshi.ValueKind
		text string
		want []string
	}{
		{noroshi.DomainName, "whatismyipaddress.com", append(slices.Clone(top), "whats-my-ip")},
		{noroshi.DomainName, "weebly.com", top},
		{noroshi.DomainName, "mydomain.com", nil},
		{noroshi.DomainName, "freegeoip.net", nil},
		{noroshi.IPv4, "204.79.197.200", azure},
		{noroshi.AddrPort, "204.79.197.200", azure},
		{noroshi.CIDR, "204.79.197.0/25", azure},
		{noroshi.CIDR, "204.79.0.0/16", nil},
		{noroshi.AddrPort, "199.59.150.11", nil},
		{noroshi.AddrPort, "72.21.81.240", nil},
		{noroshi.IPv4, "10.1.2.3", []string{"rfc1918", "rfc5735"}},
		{noroshi.DomainName, "phish.weebly.com", []string{"tranco10k"}},
		{noroshi.DomainName, "maps.google.ad", []string{"google", "tranco10k"}},
		{noroshi.DomainName, "notgoogle.ad", nil},
		{noroshi.URL, "http://bit.ly/abc", []string{"tranco10k", "url-shortener"}},
		{noroshi.URLPart, "bit.ly/abc", []string{"tranco10k", "url-shortener"}},
		{noroshi.URL, "http://204.79.197.200/payload.exe", nil},
		{noroshi.URLPart, "/payload.exe", nil},
		{noroshi.URL, "https://app.any.run/tasks/1", []string{"automated-malware-analysis", "security-provider-blogpost"}},
		{noroshi.MD5, "d41d8cd98f00b204e9800998ecf8427e", []string{"common-ioc-false-positive", "empty-hashes"}},
		{noroshi.EmailAddr, "someone@gmail.com", nil},
	} {
		got := w.Check(noroshi.Value{Kind: c.kind, Text: c.text, Port: 443})
		if !slices.Equal(got, c.want) {
			t.Errorf("Check(%s %s) = %v, want %v", c.kind, c.text, got, c.want)
		}
	}
}

func TestWarningListTypes(t *testing.T) {
	file := func(typ string, entries ...string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"name":"T","version":1,"type":"` + typ + `","matching_attributes":["domain"],"x":{"y":1},"list":["` + strings.Join(entries, `","`) + `"]}`)}
	}
	w, err := intake.ReadWarningListsFS(fstest.MapFS{
		"a-string.json":          file("string", "Bad.Example.", "192.0.2.1", ".dotted.example", "2001:DB8::1"),
		"lists/b-host/list.json": file("hostname", "Shop.example", ".lead.example", "日本.example"),
		"c-cidr.json":            file("cidr", "198.51.100.0/24", "198.51.0.0/16", "2001:db8:1::/48", "203.0.113.9", "0.0.0.0/0", "nonsense"),
		"d-part.json":            file("substring", "Analys", ""),
		"e-regex.json":           file("regex", `/^ads[0-9]+\\./i`, `(?=x)`, `.*`),
		"f-odd.json":             file("bloom", "x"),
		"g-broken.json":          {Data: []byte(`{"list":["a"],"list":["b"]}`)},
		"README.md":              {Data: []byte("no list")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind noroshi.ValueKind
		text string
		want string
	}{
		{noroshi.DomainName, "bad.example", "a-string"},
		{noroshi.DomainName, "sub.bad.example", ""},
		{noroshi.IPv4, "192.0.2.1", "a-string"},
		{noroshi.IPv6, "2001:db8::1", "a-string"},
		{noroshi.DomainName, "x.dotted.example", "a-string"},
		{noroshi.DomainName, "dotted.example", ""},
		{noroshi.DomainName, "shop.example", "b-host"},
		{noroshi.DomainName, "a.b.shop.example", "b-host"},
		{noroshi.DomainName, "workshop.example", ""},
		{noroshi.DomainName, "lead.example", "b-host"},
		{noroshi.DomainName, "www.xn--wgv71a.example", "b-host"},
		{noroshi.URL, "https://u:p@Shop.Example:8443/x?y", "b-host"},
		{noroshi.IPv4, "198.51.100.7", "c-cidr"},
		{noroshi.IPv4, "198.51.9.7", "c-cidr"},
		{noroshi.IPv6, "2001:db8:1::5", "c-cidr"},
		{noroshi.IPv4, "203.0.113.9", "c-cidr"},
		{noroshi.IPv4, "203.0.113.10", ""},
		{noroshi.DomainName, "malware-analysis.example", "d-part"},
		{noroshi.EmailAddr, "analyst@example.org", "d-part"},
		{noroshi.DomainName, "ads12.example", "e-regex"},
		{noroshi.DomainName, "leads12.example", ""},
	} {
		got := strings.Join(w.Check(noroshi.Value{Kind: c.kind, Text: c.text}), ",")
		if got != c.want {
			t.Errorf("Check(%s %s) = %q, want %q", c.kind, c.text, got, c.want)
		}
	}
	var refused []string
	for _, f := range w.Faults() {
		refused = append(refused, f.List+" "+f.Entry)
	}
	slices.Sort(refused)
	want := []string{"c-cidr 0.0.0.0/0", "c-cidr nonsense", "d-part ", "e-regex (?=x)", "e-regex .*", "f-odd ", "g-broken "}
	if !slices.Equal(refused, want) {
		t.Errorf("refused %q, want %q", refused, want)
	}
}

func TestWarningListNone(t *testing.T) {
	var none *intake.WarningLists
	if got := none.Check(noroshi.Value{Kind: noroshi.IPv4, Text: "10.0.0.1"}); got != nil {
		t.Errorf("nil lists name %v", got)
	}
	if _, err := intake.ReadWarningListsFS(os.DirFS(t.TempDir())); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("an empty folder gives %v, want an Invalid error", err)
	}
	if _, err := intake.ReadWarningLists(t.TempDir() + "/none"); err == nil {
		t.Error("a missing folder gives no error")
	}
}

func TestWarningListNoAllocation(t *testing.T) {
	w := realLists(t)
	v := noroshi.Value{Kind: noroshi.DomainName, Text: "nothing-known.invalid"}
	if n := testing.AllocsPerRun(100, func() { w.Check(v) }); n != 0 {
		t.Errorf("%v allocations for a value in no list, want 0", n)
	}
}

func BenchmarkWarningLists(b *testing.B) {
	w := realLists(b)
	values := []noroshi.Value{
		{Kind: noroshi.DomainName, Text: "a.long.name.in.no-list.invalid"},
		{Kind: noroshi.AddrPort, Text: "192.0.2.77", Port: 8080},
		{Kind: noroshi.URLPart, Text: "host.invalid/wp-content/plugins/x.php"},
	}
	for b.Loop() {
		for _, v := range values {
			w.Check(v)
		}
	}
}
