package detect_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/stix/pattern"
)

const data = "../../testdata/"

// open opens a test file, unpacked if it is gz.
func open(t testing.TB, name string) io.Reader {
	t.Helper()
	f, err := os.Open(data + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(name, ".gz") {
		return f
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func val(kind noroshi.ValueKind, text string) noroshi.Value {
	return noroshi.Value{Kind: kind, Text: text}
}

func TestParseValue(t *testing.T) {
	for _, c := range []struct {
		in   string
		want noroshi.Value
		code string
	}{
		{"Evil.Example.COM.", val(noroshi.DomainName, "evil.example.com"), ""},
		{" evil[.]example(.)com\t", val(noroshi.DomainName, "evil.example.com"), ""},
		{"*.evil.example", val(noroshi.DomainName, "evil.example"), ""},
		{"日本語.example", val(noroshi.DomainName, "xn--wgv71a119e.example"), ""},
		{"no_ip.biz", val(noroshi.DomainName, "no_ip.biz"), ""},
		{"1.2.3.4", val(noroshi.IPv4, "1.2.3.4"), ""},
		{"1.2.3[.]4", val(noroshi.IPv4, "1.2.3.4"), ""},
		{"::ffff:1.2.3.4", val(noroshi.IPv4, "1.2.3.4"), ""},
		{"2001:DB8:0::1", val(noroshi.IPv6, "2001:db8::1"), ""},
		{"10.1.2.3/8", val(noroshi.CIDR, "10.0.0.0/8"), ""},
		{"10.1.2.3/32", val(noroshi.IPv4, "10.1.2.3"), ""},
		{"2001:db8::/32", val(noroshi.CIDR, "2001:db8::/32"), ""},
		{"1.2.3.4:443", noroshi.Value{Kind: noroshi.AddrPort, Text: "1.2.3.4", Port: 443}, ""},
		{"[2001:db8::1]:443", noroshi.Value{Kind: noroshi.AddrPort, Text: "2001:db8::1", Port: 443}, ""},
		{"hxxps://Evil[.]example:443/A?b#c", val(noroshi.URL, "https://evil.example/A?b"), ""},
		{"http://user:pw@1.2.3.4:8080", val(noroshi.URL, "http://1.2.3.4:8080"), ""},
		{"http://[2001:db8::1]:81/x", val(noroshi.URL, "http://[2001:db8::1]:81/x"), ""},
		{"http://evil.example/検", val(noroshi.URL, "http://evil.example/%E6%A4%9C"), ""},
		{"Evil.example/Path", val(noroshi.URLPart, "evil.example/Path"), ""},
		{"evil.example:443/a", val(noroshi.URLPart, "evil.example:443/a"), ""},
		{"/gate.php?id=", val(noroshi.URLPart, "/gate.php?id="), ""},
		{"D41D8CD98F00B204E9800998ECF8427E", val(noroshi.MD5, "d41d8cd98f00b204e9800998ecf8427e"), ""},
		{strings.Repeat("a", 40), val(noroshi.SHA1, strings.Repeat("a", 40)), ""},
		{strings.Repeat("a", 64), val(noroshi.SHA256, strings.Repeat("a", 64)), ""},
		{strings.Repeat("a", 128), val(noroshi.SHA512, strings.Repeat("a", 128)), ""},
		{"Bad.Man[@]Evil.example", val(noroshi.EmailAddr, "bad.man@evil.example"), ""},
		{"", noroshi.Value{}, "value.empty"},
		{strings.Repeat("a.", 4000), noroshi.Value{}, "value.too-long"},
		{"evil example.com", noroshi.Value{}, "value.characters"},
		{"evil\xff.com", noroshi.Value{}, "value.characters"},
		{"localhost", noroshi.Value{}, "value.domain"},
		{"a..b", noroshi.Value{}, "value.domain"},
		{"1.2.3.999", noroshi.Value{}, "value.domain"},
		{strings.Repeat("a.", 130) + "com", noroshi.Value{}, "value.domain"},
		{"evil.example:8080", noroshi.Value{}, "value.name-port"},
		{"1.2.3.4:0", noroshi.Value{Kind: noroshi.AddrPort, Text: "1.2.3.4"}, ""},
		{"http://1.2.3.4:0/", noroshi.Value{}, "value.port"},
		{"1.2.3.4:70000", noroshi.Value{}, "value.port"},
		{"1.2.3.4:x", noroshi.Value{}, "value.address"},
		{"evil.example # seen 2018", val(noroshi.DomainName, "evil.example"), ""},
		{"/a b.apk", val(noroshi.URLPart, "/a%20b.apk"), ""},
		{"fe80::1%eth0", noroshi.Value{}, "value.address"},
		{"gopher://evil.example/", noroshi.Value{}, "value.url"},
		{"http:///x", noroshi.Value{}, "value.url"},
		{"/", noroshi.Value{}, "value.url"},
		{"@evil.example", noroshi.Value{}, "value.email"},
	} {
		t.Run(c.in[:min(len(c.in), 30)], func(t *testing.T) {
			got, err := detect.ParseValue(c.in)
			var e *noroshi.Error
			if c.code != "" {
				if !errors.As(err, &e) || e.Code != c.code || e.Kind != noroshi.Invalid {
					t.Errorf("got %v, %v, want %s", got, err, c.code)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
			settled(t, got)
		})
	}
}

// settled checks that a value's text is normal and its pattern reads back.
func settled(t testing.TB, v noroshi.Value) {
	t.Helper()
	kind := string(v.Kind)
	if again, err := detect.ParseKindValue(kind, v.String()); err != nil || again != v {
		t.Fatalf("%+v: got %+v, %v when read again", v, again, err)
	}
	text := detect.PatternOf(v)
	p, err := pattern.Parse(text, pattern.Options{})
	if err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	if got, armed := detect.Values(p); !armed || len(got) != 1 || got[0] != v {
		t.Fatalf("%s: got %+v, armed %t, want %+v", text, got, armed, v)
	}
}

func TestParseKindValue(t *testing.T) {
	for _, c := range []struct {
		kind, in string
		want     noroshi.Value
	}{
		{"url-part", "http://117.72.46.146", val(noroshi.URLPart, "117.72.46.146")},
		{"ipv4-port", "1.0.0.229:53", noroshi.Value{Kind: noroshi.AddrPort, Text: "1.0.0.229", Port: 53}},
		{"ipv4-net", "198.54.112.0/20", val(noroshi.CIDR, "198.54.112.0/20")},
		{"sha1", strings.Repeat("A", 40), val(noroshi.SHA1, strings.Repeat("a", 40))},
		{"ipv6-addr", "1.2.3.4", noroshi.Value{}},
		{"ipv6-port", "1.2.3.4:5", noroshi.Value{}},
		{"ipv6-net", "1.2.3.0/24", noroshi.Value{}},
		{"md5", strings.Repeat("a", 40), noroshi.Value{}},
		{"mutex", "x", noroshi.Value{}},
		{"domain-name", "1.2.3.4", noroshi.Value{}},
	} {
		got, err := detect.ParseKindValue(c.kind, c.in)
		if (err != nil) != (c.want == noroshi.Value{}) || err == nil && got != c.want {
			t.Errorf("%s %s: got %+v, %v, want %+v", c.kind, c.in, got, err, c.want)
		}
	}
}

// TestLists reads every entry of the published lists.
func TestLists(t *testing.T) {
	paths, err := filepath.Glob(data + "indicators/lists/*.txt")
	if err != nil || len(paths) != 5 {
		t.Fatalf("got %d lists, %v, want 5", len(paths), err)
	}
	got := map[noroshi.ValueKind]int{}
	for _, p := range paths {
		for s := bufio.NewScanner(open(t, strings.TrimPrefix(p, data))); s.Scan(); {
			line := strings.TrimSpace(s.Text())
			if line == "" || line[0] == '#' {
				continue
			}
			v, err := detect.ParseValue(line)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			got[v.Kind]++
			settled(t, v)
		}
	}
	want := map[noroshi.ValueKind]int{noroshi.DomainName: 32566, noroshi.AddrPort: 1556, noroshi.IPv4: 4, noroshi.URL: 328, noroshi.URLPart: 1093}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []noroshi.Value
	}{
		{"[ipv4-addr:value = '1.2.3.4' OR domain-name:value IN ('a.example', 'B.example')]",
			[]noroshi.Value{val(noroshi.IPv4, "1.2.3.4"), val(noroshi.DomainName, "a.example"), val(noroshi.DomainName, "b.example")}},
		{"[(url:value = 'http://a.example/x' OR (file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e'))]",
			[]noroshi.Value{val(noroshi.URL, "http://a.example/x"), val(noroshi.MD5, "d41d8cd98f00b204e9800998ecf8427e")}},
		{"[ipv4-addr:value = '1.2.3.0/24']", []noroshi.Value{val(noroshi.CIDR, "1.2.3.0/24")}},
		{"[ipv4-addr:value = '1.2.3.4' OR ipv4-addr:value = '1.2.3.4']", []noroshi.Value{val(noroshi.IPv4, "1.2.3.4")}},
		{"[network-traffic:dst_ref.value ISSUBSET '2001:db8::/64']", []noroshi.Value{val(noroshi.CIDR, "2001:db8::/64")}},
		{"[network-traffic:src_ref.type = 'ipv4-addr' AND network-traffic:src_ref.value = '203.0.113.33/32']", []noroshi.Value{val(noroshi.IPv4, "203.0.113.33")}},
		{"[network-traffic:dst_ref.value = '1.2.3.4' AND network-traffic:dst_port = 443]", []noroshi.Value{{Kind: noroshi.AddrPort, Text: "1.2.3.4", Port: 443}}},
		{"[network-traffic:dst_port = 443 AND network-traffic:dst_ref.type = 'ipv6-addr' AND network-traffic:dst_ref.value = '::1']", []noroshi.Value{{Kind: noroshi.AddrPort, Text: "::1", Port: 443}}},
		{"[network-traffic:dst_ref.type = 'domain-name' AND network-traffic:dst_ref.value = 'a.example']", []noroshi.Value{val(noroshi.DomainName, "a.example")}},
		{"[email-message:from_ref.value = 'A@b.example']", []noroshi.Value{val(noroshi.EmailAddr, "a@b.example")}},
		{"[ipv4-addr:value != '1.2.3.4']", nil},
		{"[ipv4-addr:value NOT = '1.2.3.4']", nil},
		{"[ipv4-addr:value = '::1']", nil},
		{"[ipv4-addr:value = '1.2.3.4' AND domain-name:value = 'a.example']", nil},
		{"[ipv4-addr:value = '1.2.3.4' OR file:name = 'a']", nil},
		{"[ipv4-addr:value = '1.2.3.4'] OR [ipv4-addr:value = '1.2.3.5']", nil},
		{"[ipv4-addr:value = '1.2.3.4'] REPEATS 2 TIMES", nil},
		{"[domain-name:value LIKE '%.example']", nil},
		{"[domain-name:value IN ()]", nil},
		{"[domain-name:value = 5]", nil},
		{"[network-traffic:dst_ref.value = '1.2.3.4' AND network-traffic:src_port = 443]", nil},
		{"[network-traffic:dst_ref.value = '1.2.3.4' AND network-traffic:dst_port = '443']", nil},
		{"[network-traffic:dst_ref.value = '1.2.3.4' AND network-traffic:src_ref.value = '1.2.3.5']", nil},
		{"[network-traffic:dst_port = 443 AND network-traffic:dst_port = 444]", nil},
		{"[url:value MATCHES '^https?://a\\\\.example/x']", nil},
		{"[app:id='xx.an']", nil},
	} {
		p, err := pattern.Parse(c.in, pattern.Options{})
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		got, armed := detect.Values(p)
		if armed != (c.want != nil) || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %+v, armed %t, want %+v", c.in, got, armed, c.want)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"a.example", "1.2.3.4:5", "hxxp://a[.]b/c", "/x?y=", "::1/3", "日本.jp", "a@b.example", "x.y/%zz\\'", "http://a.b.:80?x", "/hx00://"} {
		f.Add("url-part", s)
	}
	f.Fuzz(func(t *testing.T, kind, s string) {
		if v, err := detect.ParseValue(s); err == nil {
			settled(t, v)
		}
		if v, err := detect.ParseKindValue(kind, s); err == nil {
			settled(t, v)
		}
	})
}
