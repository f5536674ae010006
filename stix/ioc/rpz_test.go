package ioc_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/stix/ioc"
)

// readZone reads a master file (RFC 1035 §5.1): a semicolon begins a comment
// but in quotes, an owner stands in the first column. It returns the owners.
func readZone(text string) (owners []string, err error) {
	for line := range strings.Lines(text) {
		inQuotes, end := false, len(line)
	scan:
		for i := 0; i < len(line); i++ {
			switch line[i] {
			case '\\':
				i++
			case '"':
				inQuotes = !inQuotes
			case ';':
				if !inQuotes {
					end = i
					break scan
				}
			case '(', ')':
				if !inQuotes {
					return nil, fmt.Errorf("parenthesis in %q", line)
				}
			}
		}
		if !ascii(line[:end]) {
			return nil, fmt.Errorf("bytes beyond ASCII in %q", line)
		}
		if inQuotes {
			return nil, fmt.Errorf("open quote in %q", line)
		}
		f := strings.Fields(line[:end])
		switch {
		case len(f) == 0 || f[0] == "@" || f[0] == "$TTL" && len(f) == 2 || f[0] == "$ORIGIN" && len(f) == 2:
		case len(f) == 3 && f[1] == "CNAME" && line[0] != ' ' && line[0] != '\t' && f[0][0] != '$':
			owners = append(owners, f[0]+" "+f[2])
		default:
			return nil, fmt.Errorf("record %q", line)
		}
	}
	return owners, nil
}

func FuzzRPZ(f *testing.F) {
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		entries := trio(h, ioc.Value{Kind: ioc.DomainName, Text: "a.example"}, ioc.Value{Kind: ioc.IPv4, Text: "192.0.2.1"})
		o := options()
		o.Node, o.Marking = h.Name, h.Marking
		text, res := write(t, "rpz", entries, o)
		owners, err := readZone(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		n := len(owners)
		if n != res.Lines || n < 3 || owners[0] != "a.example ." || owners[1] != "*.a.example ." || owners[n-1] != "32.1.2.0.192.rpz-ip ." {
			t.Fatalf("owners %q of %d lines:\n%s", owners, res.Lines, text)
		}
		for _, owner := range owners[2 : n-1] {
			checkOwner(t, strings.TrimSuffix(owner, " ."), h.Values[0])
		}
	})
}

// checkOwner wants the owner to be the value's own trigger.
func checkOwner(t *testing.T, owner string, v ioc.Value) {
	t.Helper()
	if trigger, found := strings.CutSuffix(owner, ".rpz-ip"); found {
		got, err := netOf(trigger)
		want, bad := netip.ParsePrefix(v.Text)
		if bad != nil {
			a, _ := netip.ParseAddr(v.Text)
			want = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		if err != nil || got != want.Masked() {
			t.Fatalf("trigger %q is not %q: %v", owner, v.Text, err)
		}
		return
	}
	name := strings.TrimPrefix(owner, "*.")
	if ascii(v.Text) && name != strings.TrimSuffix(strings.ToLower(v.Text), ".") || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		t.Fatalf("owner %q of %q", owner, v.Text)
	}
}

// netOf reads the network of a response IP trigger (draft §4.1.1).
func netOf(trigger string) (netip.Prefix, error) {
	parts := strings.Split(trigger, ".")
	bits, err := strconv.Atoi(parts[0])
	if err != nil {
		return netip.Prefix{}, err
	}
	parts = parts[1:]
	slices.Reverse(parts)
	text := strings.Join(parts, ".")
	if i := slices.Index(parts, "zz"); i >= 0 {
		text = strings.Join(parts[:i], ":") + "::" + strings.Join(parts[i+1:], ":")
	} else if len(parts) == 8 {
		text = strings.Join(parts, ":")
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, bits), nil
}

// TestTriggers: addresses as the draft's examples and RFC 5952 want them.
func TestTriggers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.1":            "32.1.2.0.192",
		"198.51.100.0/24":      "24.0.100.51.198",
		"2001:db8::10":         "128.10.zz.db8.2001",
		"2001:db8::/32":        "32.zz.db8.2001",
		"::1":                  "128.1.zz",
		"::/8":                 "8.zz",
		"2001:db8:0:0:1:0:0:1": "128.1.0.0.1.zz.db8.2001",  // the first of two equal runs
		"2001:db8:0:1:1:1:1:1": "128.1.1.1.1.1.0.db8.2001", // a lone zero stays
		"1:2:3:4:5:6:7:8":      "128.8.7.6.5.4.3.2.1",
	} {
		k := ioc.IPv4
		if strings.Contains(text, "/") {
			k = ioc.CIDR
		} else if strings.Contains(text, ":") {
			k = ioc.IPv6
		}
		out, _ := write(t, "rpz", []ioc.Entry{one(k, text)}, options())
		owners, err := readZone(out)
		if err != nil || len(owners) != 1 || owners[0] != want+".rpz-ip ." {
			t.Errorf("%s: %q, want %s.rpz-ip: %v", text, owners, want, err)
			continue
		}
		checkOwner(t, strings.TrimSuffix(owners[0], " ."), ioc.Value{Kind: k, Text: text})
	}
}

// TestZoneNames: names a zone cannot or must not hold are left out with the
// reason.
func TestZoneNames(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	for name, want := range map[string]ioc.Reason{
		"a.example":                       "",
		"_dmarc.a-.example":               "",
		"A.Example.":                      "",
		"日本.example":                      "",
		"a.localhost":                     ioc.Reserved,
		"1.2.0.192.in-addr.arpa":          ioc.Reserved,
		"printer.local":                   ioc.Reserved,
		"32.1.2.0.192.rpz-ip":             ioc.Reserved,
		"a.rpz-nsdname":                   ioc.Reserved,
		"x.rpz-passthru":                  ioc.Reserved,
		label + "a.example":               ioc.NotAName,
		strings.Repeat("a.", 112) + "aa":  "",
		strings.Repeat("a.", 122) + "aaa": ioc.NotAName,
		"a..example":                      ioc.NotValid,
	} {
		_, res := write(t, "rpz", []ioc.Entry{one(ioc.DomainName, name)}, options())
		if res.Skipped[want] != 1 && want != "" || want == "" && res.Values != 1 {
			t.Errorf("%q: %+v, want %q", name, res.Skipped, want)
		}
	}
	_, res := write(t, "rpz", []ioc.Entry{one(ioc.CIDR, "0.0.0.0/0")}, options())
	if res.Skipped[ioc.Reserved] != 1 {
		t.Errorf("the whole Internet: %+v", res.Skipped)
	}
}

// TestZoneOptions: a zone that could not be loaded is refused before a byte of
// it is written.
func TestZoneOptions(t *testing.T) {
	t.Parallel()
	good := ioc.ZoneOptions{Origin: "rpz.example", Serial: 1}
	for name, change := range map[string]func(*ioc.ZoneOptions){
		"no origin":     func(z *ioc.ZoneOptions) { z.Origin = "" },
		"root":          func(z *ioc.ZoneOptions) { z.Origin = "." },
		"origin breaks": func(z *ioc.ZoneOptions) { z.Origin = "rpz.example\n$INCLUDE x.y" },
		"long label":    func(z *ioc.ZoneOptions) { z.Origin = strings.Repeat("a", 64) + ".example" },
		"no serial":     func(z *ioc.ZoneOptions) { z.Serial = 0 },
		"short TTL":     func(z *ioc.ZoneOptions) { z.TTL = time.Millisecond },
		"action":        func(z *ioc.ZoneOptions) { z.Action = "burn" },
		"garden":        func(z *ioc.ZoneOptions) { z.Garden = "a b" },
		"both":          func(z *ioc.ZoneOptions) { z.Garden, z.Action = "g.example", ioc.Drop },
	} {
		o := ioc.Options{RPZ: good}
		change(&o.RPZ)
		var b bytes.Buffer
		if _, err := ioc.RPZ(&b, slices.Values(sample()), o); err == nil || b.Len() > 0 {
			t.Errorf("%s: error %v, %d bytes", name, err, b.Len())
		}
	}
}

// tool finds a program that a Debian package brings.
func tool(t *testing.T, name, pack string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/bin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not here: run make deps as root, or install %s", name, pack)
	return ""
}

// hostileZone has every hostile text in every field of an entry, and the sample.
func hostileZone() []ioc.Entry {
	list := sample()
	for i, s := range hostile {
		for _, v := range []ioc.Value{{Kind: ioc.DomainName, Text: s}, {Kind: ioc.DomainName, Text: s + ".example"},
			{Kind: ioc.DomainName, Text: "h" + strconv.Itoa(i) + ".example"}, {Kind: ioc.IPv4, Text: s}, {Kind: ioc.IPv6, Text: "2001:db8::1:" + strconv.Itoa(i+1)}} {
			list = append(list, ioc.Entry{ID: s, Name: s, Description: s, Marking: "M" + s, Values: []ioc.Value{v}})
		}
	}
	return list
}

// TestResolversRead: BIND and Unbound load what we write, and BIND's own
// reading of it has our owners and no others.
func TestResolversRead(t *testing.T) {
	t.Parallel()
	checkzone, checkconf := tool(t, "named-checkzone", "bind9-utils"), tool(t, "unbound-checkconf", "unbound")
	for name, change := range map[string]func(*ioc.Options){
		"default": func(*ioc.Options) {},
		"no data": func(o *ioc.Options) { o.RPZ.Action, o.RPZ.Wildcard = ioc.NoData, false },
		"drop":    func(o *ioc.Options) { o.RPZ.Action = ioc.Drop },
		"garden":  func(o *ioc.Options) { o.RPZ.Garden = "garden.usa-01.example" },
		"hostile": func(o *ioc.Options) { o.Node, o.Marking = strings.Join(hostile, " "), "\"; \\ $INCLUDE (\n日本" },
	} {
		o := options()
		change(&o)
		text, _ := write(t, "rpz", hostileZone(), o)
		zone := filepath.Join(t.TempDir(), "zone.rpz")
		if err := os.WriteFile(zone, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(checkzone, "-q", "-D", "-o", "-", o.RPZ.Origin, zone)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: named-checkzone: %v\n%s", name, err, out)
			continue
		}
		sameOwners(t, name, text, string(out), o.RPZ.Origin)
		runUnbound(t, name, checkconf, o.RPZ.Origin, zone)
	}
}

// sameOwners compares what was written with what BIND read.
func sameOwners(t *testing.T, name, written, dumped, origin string) {
	t.Helper()
	owners, err := readZone(written)
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]bool{}, map[string]bool{}
	for _, o := range owners {
		want[strings.ReplaceAll(o, " ", "."+origin+". ")] = true
	}
	for line := range strings.Lines(dumped) {
		if f := strings.Fields(line); len(f) == 5 && f[3] == "CNAME" {
			got[f[0]+" "+f[4]] = true
		}
	}
	for o := range want {
		if !got[o] {
			t.Errorf("%s: BIND does not have %s", name, o)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: BIND has %d owners, %d were written", name, len(got), len(want))
	}
}

// runUnbound has Unbound load the zone as a policy.
func runUnbound(t *testing.T, name, checkconf, origin, zone string) {
	t.Helper()
	conf := filepath.Join(filepath.Dir(zone), "unbound.conf")
	text := fmt.Sprintf("server:\n  directory: %q\n  username: \"\"\n  chroot: \"\"\n  module-config: \"respip validator iterator\"\nrpz:\n  name: %q\n  zonefile: %q\n",
		filepath.Dir(zone), origin, zone)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(checkconf, conf).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("error:")) || bytes.Contains(out, []byte("warning")) {
		t.Errorf("%s: unbound-checkconf: %v\n%s", name, err, out)
	}
}
