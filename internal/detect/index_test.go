package detect_test

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
	"pgregory.net/rapid"
)

// hits runs lines through an index and returns what was met, sorted.
func hits(t testing.TB, x *detect.Index, lines string) []detect.Hit {
	t.Helper()
	var out []detect.Hit
	rep, err := x.Run(strings.NewReader(lines), func(h detect.Hit) error {
		out = append(out, h)
		return nil
	})
	if err != nil || rep.Bad != 0 || rep.Hits != int64(len(out)) || rep.Strong+rep.Weak != rep.Hits {
		fatal(t, "got %+v, %v, %d hits", rep, err, len(out))
	}
	return out
}

func fatal(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Fatalf(format, args...)
}

// brief returns hits as "id value strength field observed", sorted.
func brief(hs []detect.Hit) []string {
	var out []string
	for _, h := range hs {
		out = append(out, fmt.Sprintf("%s %s %s %s %s", h.Indicator, h.Value, h.Strength, h.Field, h.Observed))
	}
	sort.Strings(out)
	return out
}

func put(x *detect.Index, seq int64, texts ...string) stix.ID {
	e := detect.Entry{Seq: seq, ID: id(seq)}
	for _, s := range texts {
		v, err := detect.ParseValue(s)
		if err != nil {
			panic(err)
		}
		e.Values = append(e.Values, v)
	}
	x.Put(e)
	return e.ID
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name, entry, line string
		want              string // field and observed, "" for no hit
		opt               detect.Options
	}{
		{"query", "evil.example", `{"query":"evil.example"}`, "query evil.example", detect.Options{}},
		{"subdomain, case, dot", "evil.example", `{"query":"A.B.eVIL.example."}`, "query A.B.eVIL.example.", detect.Options{}},
		{"not a label end", "evil.example", `{"query":"devil.example"}`, "", detect.Options{}},
		{"exact, subdomain", "evil.example", `{"query":"a.evil.example"}`, "", detect.Options{ExactDomains: true}},
		{"exact, itself", "evil.example", `{"query":"evil.example"}`, "query evil.example", detect.Options{ExactDomains: true}},
		{"A-label meets U-label", "日本語.example", `{"server_name":"xn--wgv71a119e.example"}`, "server_name xn--wgv71a119e.example", detect.Options{}},
		{"U-label meets A-label", "xn--wgv71a119e.example", `{"server_name":"www.日本語.example"}`, "server_name www.日本語.example", detect.Options{}},
		{"escaped", "evil.example", `{"\u0071uery":"e\u0076il.example"}`, "query evil.example", detect.Options{}},
		{"name longer than any", "evil.example", `{"query":"` + strings.Repeat("a.", 5000) + `evil.example"}`, "query " + strings.Repeat("a.", 5000) + "evil.example", detect.Options{}},
		{"TXT answer", "evil.example", `{"answers":["TXT 20 x.evil.example"]}`, "", detect.Options{}},
		{"address", "192.0.2.1", `{"id.resp_h":"192.0.2.1","id.resp_p":80}`, "id.resp_h 192.0.2.1", detect.Options{}},
		{"address in an answer", "2001:db8::1", `{"answers":["x.example","2001:DB8:0:0::1"]}`, "answers 2001:DB8:0:0::1", detect.Options{}},
		{"mapped address", "192.0.2.1", `{"id.resp_h":"::ffff:192.0.2.1"}`, "id.resp_h ::ffff:192.0.2.1", detect.Options{}},
		{"nested id", "192.0.2.1:22", `{"id":{"orig_h":"192.0.2.1","orig_p":22}}`, "id.orig_h 192.0.2.1", detect.Options{}},
		{"block", "192.0.2.0/24", `{"id.orig_h":"192.0.2.77"}`, "id.orig_h 192.0.2.77", detect.Options{}},
		{"block, next", "192.0.2.0/24", `{"id.orig_h":"192.0.3.1"}`, "", detect.Options{}},
		{"IPv6 block", "2001:db8::/32", `{"id.orig_h":"2001:db8:ffff::1"}`, "id.orig_h 2001:db8:ffff::1", detect.Options{}},
		{"weak", "192.0.2.1:443", `{"id.resp_h":"192.0.2.1","id.resp_p":80}`, "id.resp_h 192.0.2.1", detect.Options{}},
		{"weak forbidden", "192.0.2.1:443", `{"id.resp_h":"192.0.2.1","id.resp_p":80}`, "", detect.Options{NoWeak: true}},
		{"port zero is no port", "192.0.2.1:0", `{"answers":["192.0.2.1"]}`, "", detect.Options{NoWeak: true}},
		{"URL", "http://evil.example/a?b=1", `{"host":"EVIL.example","uri":"/a?b=1","id.resp_p":80}`, "uri EVIL.example/a?b=1", detect.Options{}},
		{"URL, other query", "http://evil.example/a?b=1", `{"host":"evil.example","uri":"/a?b=12"}`, "", detect.Options{}},
		{"URL, longer path", "http://evil.example/a", `{"host":"evil.example","uri":"/a/b"}`, "", detect.Options{}},
		{"URL with port", "http://evil.example:8080/a", `{"host":"evil.example","uri":"/a","id.resp_p":8080}`, "uri evil.example/a", detect.Options{}},
		{"URL with other port", "http://evil.example:8080/a", `{"host":"evil.example","uri":"/a","id.resp_p":80}`, "", detect.Options{}},
		{"URL without path", "http://192.0.2.1", `{"host":"192.0.2.1","uri":"/any"}`, "uri 192.0.2.1/any", detect.Options{}},
		{"URL without path, exact", "http://192.0.2.1", `{"host":"192.0.2.1","uri":"/any"}`, "", detect.Options{ExactDomains: true}},
		{"URL without path, root, exact", "http://192.0.2.1", `{"host":"192.0.2.1","uri":"/"}`, "uri 192.0.2.1/", detect.Options{ExactDomains: true}},
		{"proxied", "http://evil.example/a", `{"host":"proxy.example","uri":"http://evil.example/a"}`, "uri http://evil.example/a", detect.Options{}},
		{"IPv6 host", "http://[2001:db8::1]/a", `{"host":"[2001:db8::1]:80","uri":"/a"}`, "uri [2001:db8::1]/a", detect.Options{}},
		{"part", "evil.example/a", `{"host":"evil.example","uri":"/a/b?c"}`, "uri evil.example/a/b?c", detect.Options{}},
		{"part ends inside a word", "evil.example/a", `{"host":"evil.example","uri":"/ab"}`, "", detect.Options{}},
		{"part of any host", "/gate.php?id=", `{"host":"x.example","uri":"/gate.php?id=7"}`, "uri x.example/gate.php?id=7", detect.Options{}},
		{"part of any host, no host", "/gate.php", `{"uri":"/gate.php?id=7"}`, "uri /gate.php?id=7", detect.Options{}},
		{"part beyond ASCII", "evil.example/検", `{"host":"evil.example","uri":"/検/x"}`, "uri evil.example/検/x", detect.Options{}},
		{"connect", "evil.example", `{"host":"evil.example:443","uri":"evil.example:443"}`, "host evil.example", detect.Options{}},
		{"hash", "D41D8CD98F00B204E9800998ECF8427E", `{"md5":"d41d8cd98f00b204e9800998ecf8427e"}`, "md5 d41d8cd98f00b204e9800998ecf8427e", detect.Options{}},
		{"mail", "bad@evil.example", `{"from":"\"Bad, Man\" <Bad@Evil.example>"}`, "from \"Bad, Man\" <Bad@Evil.example>", detect.Options{}},
		{"mail, name", "evil.example", `{"rcptto":["x@mx.evil.example"]}`, "rcptto x@mx.evil.example", detect.Options{}},
		{"certificate", "evil.example", `{"san.dns":["good.example","*.evil.example"]}`, "san.dns *.evil.example", detect.Options{}},
		{"EVE dns 1", "evil.example", `{"timestamp":"2018-03-24T14:37:19.037299-0600","event_type":"dns","dns":{"type":"query","rrname":"evil.example"}}`, "dns.rrname evil.example", detect.Options{}},
		{"EVE dns 2", "192.0.2.1", `{"event_type":"dns","dns":{"version":2,"answers":[{"rrname":"a.example","rdata":"192.0.2.1"}]}}`, "dns.rdata 192.0.2.1", detect.Options{}},
		{"EVE dns 3", "evil.example", `{"event_type":"dns","dns":{"version":3,"queries":[{"rrname":"evil.example","rrtype":"A"}]}}`, "dns.rrname evil.example", detect.Options{}},
		{"EVE dns grouped", "192.0.2.1", `{"event_type":"dns","dns":{"grouped":{"A":["192.0.2.9","192.0.2.1"],"SOA":[{"mname":"x"}]}}}`, "dns.grouped.A 192.0.2.1", detect.Options{}},
		{"EVE tls", "evil.example", `{"event_type":"tls","tls":{"sni":"evil.example"}}`, "tls.sni evil.example", detect.Options{}},
		{"EVE http", "evil.example/x", `{"event_type":"http","dest_port":80,"http":{"hostname":"evil.example","url":"/x"}}`, "http.url evil.example/x", detect.Options{}},
		{"EVE file", strings.Repeat("ab", 32), `{"event_type":"fileinfo","fileinfo":{"sha256":"` + strings.Repeat("ab", 32) + `"}}`, "fileinfo.sha256 " + strings.Repeat("ab", 32), detect.Options{}},
		{"EVE files", strings.Repeat("ab", 20), `{"event_type":"alert","files":[{"sha1":"` + strings.Repeat("AB", 20) + `"}]}`, "fileinfo.sha1 " + strings.Repeat("AB", 20), detect.Options{}},
		{"EVE mail", "a@evil.example", `{"event_type":"smtp","email":{"from":"A <a@evil.example>"}}`, "email.from A <a@evil.example>", detect.Options{}},
		{"EVE sensor is no host", "evil.example", `{"host":"evil.example","event_type":"flow"}`, "", detect.Options{}},
		{"EVE port", "192.0.2.1:4904", `{"event_type":"alert","src_ip":"192.0.2.1","src_port":4904}`, "src_ip 192.0.2.1", detect.Options{NoWeak: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := detect.NewIndex(c.opt)
			put(x, 7, c.entry)
			got := hits(t, x, c.line)
			if c.want == "" {
				if len(got) != 0 {
					t.Errorf("got %v, want none", brief(got))
				}
				return
			}
			if len(got) != 1 || got[0].Field+" "+got[0].Observed != c.want || got[0].Seq != 7 || got[0].Indicator != id(7) {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

// TestOneHit holds the rules of how many hits an event gives.
func TestOneHit(t *testing.T) {
	x := detect.NewIndex(detect.Options{})
	put(x, 1, "evil.example")
	put(x, 2, "evil.example", "192.0.2.1:80")
	put(x, 3, "192.0.2.1:443")
	put(x, 4, "192.0.2.9")
	a, b, c := string(id(1)), string(id(2)), string(id(3))
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"two indicators of one value, several fields", `{"query":"a.evil.example","answers":["b.evil.example","evil.example"]}`,
			[]string{a + " evil.example strong query a.evil.example", b + " evil.example strong query a.evil.example"}},
		{"weak for the lowest port only", `{"answers":["192.0.2.1","192.0.2.1"]}`,
			[]string{b + " 192.0.2.1:80 weak answers 192.0.2.1"}},
		{"strong keeps weak away", `{"answers":["192.0.2.1"],"id.resp_h":"192.0.2.1","id.resp_p":443}`,
			[]string{c + " 192.0.2.1:443 strong id.resp_h 192.0.2.1"}},
		{"both ports", `{"id.orig_h":"192.0.2.1","id.orig_p":80,"id.resp_h":"192.0.2.1","id.resp_p":443}`,
			[]string{b + " 192.0.2.1:80 strong id.orig_h 192.0.2.1", c + " 192.0.2.1:443 strong id.resp_h 192.0.2.1"}},
	} {
		sort.Strings(tc.want)
		if got := brief(hits(t, x, tc.line)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestValidity(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2018, 3, d, 0, 0, 0, 0, time.UTC) }
	v := []noroshi.Value{val(noroshi.DomainName, "evil.example"), val(noroshi.CIDR, "192.0.2.0/24")}
	line := func(ts string) string {
		return `{"ts":` + ts + `,"query":"evil.example"}` + "\n" + `{"ts":` + ts + `,"answers":["192.0.2.1"]}`
	}
	for _, c := range []struct {
		name, ts    string
		from, until time.Time
		early       bool
		want        int
	}{
		{"open", `"2018-03-24T17:15:20.865716Z"`, time.Time{}, time.Time{}, false, 2},
		{"within", `"2018-03-24T17:15:20.865716Z"`, day(24), day(25), false, 2},
		{"before", `"2018-03-23T23:59:59.999999Z"`, day(24), day(25), false, 0},
		{"before, looking back", `"2018-03-23T23:59:59.999999Z"`, day(24), day(25), true, 2},
		{"at the end", `"2018-03-25T00:00:00Z"`, day(24), day(25), false, 0},
		{"seconds", `1521936000.000000`, day(25), time.Time{}, false, 2},
		{"seconds before", `1521935999.999999`, day(25), time.Time{}, false, 0},
		{"other offset", `"2018-03-25T08:00:00.000000+0900"`, day(25), time.Time{}, false, 0},
		{"no time that can be read", `"yesterday"`, day(24), day(25), false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := detect.NewIndex(detect.Options{Early: c.early})
			x.Put(detect.Entry{ID: id(1), Values: v, ValidFrom: c.from, ValidUntil: c.until, Flagged: true})
			got := hits(t, x, line(c.ts))
			if len(got) != c.want {
				t.Errorf("got %v, want %d", brief(got), c.want)
			}
			for _, h := range got {
				if !h.Flagged {
					t.Errorf("%v is not flagged", h)
				}
			}
		})
	}
}

// naive is the index as anybody would write it.
type naive map[stix.ID]detect.Entry

// met returns what a line with one name and one address meets.
func (n naive) met(name string, a netip.AddrPort) []string {
	var out []string
	low, strong := map[uint16][]string{}, false
	lowest := 1 << 16
	for _, e := range n {
		for _, v := range e.Values {
			switch v.Kind {
			case noroshi.DomainName:
				if name == v.Text || strings.HasSuffix(name, "."+v.Text) {
					out = append(out, fmt.Sprintf("%s %s strong query %s %d", e.ID, v, name, e.Seq))
				}
			case noroshi.IPv4, noroshi.IPv6:
				if a.Addr().String() == v.Text {
					strong = true
					out = append(out, fmt.Sprintf("%s %s strong id.resp_h %s %d", e.ID, v, v.Text, e.Seq))
				}
			case noroshi.AddrPort:
				if a.Addr().String() != v.Text {
					continue
				}
				if a.Port() == v.Port {
					strong = true
					out = append(out, fmt.Sprintf("%s %s strong id.resp_h %s %d", e.ID, v, v.Text, e.Seq))
					continue
				}
				lowest = min(lowest, int(v.Port))
				low[v.Port] = append(low[v.Port], fmt.Sprintf("%s %s weak id.resp_h %s %d", e.ID, v, v.Text, e.Seq))
			case noroshi.CIDR:
				if p := netip.MustParsePrefix(v.Text); p.Contains(a.Addr()) {
					out = append(out, fmt.Sprintf("%s %s strong id.resp_h %s %d", e.ID, v, a.Addr(), e.Seq))
				}
			}
		}
	}
	if !strong && lowest < 1<<16 {
		out = append(out, low[uint16(lowest)]...)
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// TestIndexAgainstNaive puts, removes, loads and merges at random and compares
// with the naive index after every step.
func TestIndexAgainstNaive(t *testing.T) {
	domain := rapid.SampledFrom([]string{"a.example", "b.a.example", "example.com", "x.example.com", "y.ddns.net"})
	addr := rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "10.1.2.3"})
	port := rapid.SampledFrom([]uint16{80, 443, 8080})
	value := rapid.Custom(func(t *rapid.T) noroshi.Value {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return val(noroshi.DomainName, domain.Draw(t, "domain"))
		case 1:
			return noroshi.Value{Kind: noroshi.AddrPort, Text: addr.Draw(t, "addr"), Port: port.Draw(t, "port")}
		case 2:
			return val(noroshi.CIDR, rapid.SampledFrom([]string{"192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "192.0.2.0/31"}).Draw(t, "block"))
		}
		v, _ := detect.ParseValue(addr.Draw(t, "addr"))
		return v
	})
	entry := rapid.Custom(func(t *rapid.T) detect.Entry {
		e := detect.Entry{Seq: rapid.Int64().Draw(t, "seq"), ID: id(rapid.Int64Range(0, 9).Draw(t, "id"))}
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			e.ID = "x-odd--" + e.ID[len("indicator--"):]
		}
		e.Values = rapid.SliceOfN(value, 1, 4).Draw(t, "values")
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		x, n := detect.NewIndex(detect.Options{}), naive{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				e := entry.Draw(t, "entry")
				x.Put(e)
				n[e.ID] = e
			case 2:
				id := entry.Draw(t, "gone").ID
				x.Remove(id)
				delete(n, id)
			case 3:
				detect.Merge(x)
			case 4:
				detect.StartMerge(x)
			case 5:
				es := rapid.SliceOfN(entry, 0, 4).Draw(t, "load")
				i := 0
				if err := x.Load(func() (detect.Entry, error) {
					if i++; i > len(es) {
						return detect.Entry{}, io.EOF
					}
					return es[i-1], nil
				}); err != nil {
					t.Fatal(err)
				}
				for _, e := range es {
					n[e.ID] = e
				}
			}
			if got := x.Stats().Indicators; got != len(n) {
				t.Fatalf("got %d armed, want %d", got, len(n))
			}
			check(t, x, n, domain.Draw(t, "name"), netip.AddrPortFrom(netip.MustParseAddr(addr.Draw(t, "to")), port.Draw(t, "port")))
		}
		x.Settle()
	})
}

func check(t *rapid.T, x *detect.Index, n naive, name string, a netip.AddrPort) {
	for id := range n {
		if !x.Armed(id) {
			t.Fatalf("%s is not armed", id)
		}
	}
	var got []string
	line := fmt.Sprintf(`{"query":%q,"id.resp_h":%q,"id.resp_p":%d}`, name, a.Addr(), a.Port())
	_, err := x.Run(strings.NewReader(line), func(h detect.Hit) error {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %d", h.Indicator, h.Value, h.Strength, h.Field, h.Observed, h.Seq))
		return nil
	})
	sort.Strings(got)
	if want := n.met(name, a); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, %v, want %q", line, got, err, want)
	}
}

// TestConcurrent matches from several goroutines while others arm, disarm and
// merge: what is armed all the time is met all the time, by each event once,
// and Put is visible when it returns.
func TestConcurrent(t *testing.T) {
	x := detect.NewIndex(detect.Options{})
	steady := put(x, 1, "steady.example")
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !stop.Load() {
				got := hits(t, x, `{"query":"steady.example"}`)
				if len(got) != 1 || got[0].Indicator != steady {
					t.Errorf("got %v, want the steady indicator once", brief(got))
					return
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := range tier.N(12_000, 200_000) {
				n := int64(1000 + w*1_000_000 + i%20_000)
				name := fmt.Sprintf("n%d.example", n)
				at := put(x, n, name)
				if i%100 == 0 {
					if got := hits(t, x, `{"query":"`+name+`"}`); len(got) != 1 || got[0].Indicator != at {
						t.Errorf("%s: got %v after Put", name, brief(got))
					}
					put(x, 1, "steady.example")
				}
				if i%3 == 0 {
					x.Remove(at)
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	x.Settle()
	if got, want := x.Stats().Indicators, 1+2*(tier.N(12_000, 20_000)-tier.N(4_000, 6_667)); got != want && tier.N(0, 1) == 0 {
		t.Errorf("got %d armed, want %d", got, want)
	}
}

// TestAskedWhileLoading: while much is being armed it is told what is armed already,
// and not only when all is; who arms something else meanwhile waits.
func TestAskedWhileLoading(t *testing.T) {
	t.Parallel()
	x := detect.NewIndex(detect.Options{})
	first := put(x, 1, "first.example")
	second, err := detect.ParseValue("second.example")
	if err != nil {
		t.Fatal(err)
	}
	half, rest, loaded := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	n := 0
	go func() {
		loaded <- x.Load(func() (detect.Entry, error) {
			if n++; n == 1 {
				return detect.Entry{Seq: 2, ID: id(2), Values: []noroshi.Value{second}}, nil
			}
			close(half)
			<-rest
			return detect.Entry{}, io.EOF
		})
	}()
	<-half
	if s := x.Stats(); s.Indicators != 1 || !x.Armed(first) || x.Armed(id(2)) {
		t.Errorf("before all is read: %+v", s)
	}
	again := make(chan struct{})
	go func() {
		put(x, 3, "third.example")
		x.Remove(id(2))
		close(again)
	}()
	close(rest)
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	<-again
	if s := x.Stats(); s.Indicators != 2 || !x.Armed(first) || x.Armed(id(2)) || !x.Armed(id(3)) {
		t.Errorf("afterwards: %+v", s)
	}
}
