package fetch_test

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, h := range []string{"", "https://h.example", "h.example/x", "u@h.example", "*.example", "h .example", "警報.example", "h.example:", "h.example:x", "::1", "h?x", "[fe80::1%25eth0]"} {
		if _, err := fetch.New(fetch.Options{Hosts: []string{h}}); noroshi.CodeOf(err) != "feed.allow-host" {
			t.Errorf("host %q: %v", h, err)
		}
	}
	for _, n := range []string{"0.0.0.0/0", "::/0", "8.8.8.0/24", "10.0.0.0/7", "10.0.0.1/8", "2000::/3", "2a00::/16", "168.0.0.0/6"} {
		if _, err := fetch.New(fetch.Options{Nets: []netip.Prefix{netip.MustParsePrefix(n)}}); noroshi.CodeOf(err) != "feed.net" {
			t.Errorf("network %s: %v", n, err)
		}
	}
	good := fetch.Options{Hosts: []string{"h.example", "H.example:8443", "10.1.2.3", "[2a00::1]:8443", "[2a00::1]"}, Nets: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("169.254.169.254/32"), netip.MustParsePrefix("fd00::/8")}}
	door, err := fetch.New(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"https://h.example/", "https://h.example:443/x", "https://h.EXAMPLE:8443/", "https://10.1.2.3/", "https://[2a00::1]:8443/", "https://[2A00::1]/"} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := door.Check(u); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestReach: one address of every special range, its edges, and what is public
// beside it.
func TestReach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ no, yes string }{
		{"0.0.0.0 0.255.255.255", "1.0.0.0"},
		{"10.0.0.0 10.255.255.255", "9.255.255.255 11.0.0.0"},
		{"100.64.0.0 100.127.255.255 100.100.100.200", "100.63.255.255 100.128.0.0"},
		{"127.0.0.1 127.255.255.255", "126.255.255.255 128.0.0.0"},
		{"169.254.0.1 169.254.169.254", "169.253.255.255 169.255.0.0"},
		{"172.16.0.0 172.31.255.255", "172.15.255.255 172.32.0.0"},
		{"192.0.0.192 192.0.2.1 192.88.99.1 192.168.255.255", "192.0.1.0 192.167.255.255 192.169.0.0"},
		{"198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.1", "198.17.255.255 198.20.0.0 203.0.114.0"},
		{"224.0.0.1 239.255.255.255 240.0.0.0 255.255.255.255", "223.255.255.255"},
		{":: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::808:808 64:ff9b:1::1 100::1", "2a00:1450::1"},
		{"1fff:ffff::1 4000::1 5f00::1 8000::1", "2000::1 2606:4700::1"},
		{"2001::1 2001:0:7f00:1::1 2001:1ff:ffff::1 2001:db8::1 2002:808:808::1 3fff::1 3fff:fff::1", "2001:200::1 2001:db9::1 2003::1 3ffe::1"},
		{"fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 2a00::5efe:7f00:1 2a00::200:5efe:7f00:1 2a00::1%eth0", "2a00::5eff:7f00:1"},
	} {
		for _, s := range strings.Fields(tt.no) {
			if fetch.MayReach(netip.MustParseAddr(s), nil) {
				t.Errorf("%s may be reached", s)
			}
		}
		for _, s := range strings.Fields(tt.yes) {
			if !fetch.MayReach(netip.MustParseAddr(s), nil) {
				t.Errorf("%s may not be reached", s)
			}
		}
	}
	for _, tt := range []struct {
		net, address string
		want         bool
	}{
		{"10.1.0.0/16", "10.1.2.3", true}, {"10.1.0.0/16", "10.2.2.3", false}, {"10.0.0.0/8", "::ffff:10.1.2.3", false},
		{"169.254.0.0/16", "169.254.1.1", true}, {"169.254.0.0/16", "169.254.169.254", false}, {"169.254.169.254/32", "169.254.169.254", true},
		{"fd00::/8", "fd00::1", true}, {"fd00::/8", "fd00:ec2::254", false}, {"100.64.0.0/10", "100.100.100.200", false},
		{"::1/128", "::1", true}, {"::/3", "::1", false}, {"fe80::/10", "fe80::1%eth0", false},
	} {
		if got := fetch.MayReach(netip.MustParseAddr(tt.address), []netip.Prefix{netip.MustParsePrefix(tt.net)}); got != tt.want {
			t.Errorf("%s with %s named: %v", tt.address, tt.net, got)
		}
	}
	if fetch.MayReach(netip.Addr{}, nil) {
		t.Error("no address may be reached")
	}
}

// FuzzCheck: whatever a URL is, what passes names a listed host and no other.
func FuzzCheck(f *testing.F) {
	door, err := fetch.New(fetch.Options{Hosts: []string{"a.example", "b.example:8443"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"https://a.example/", "https://a.example@evil/", "https://b.example:8443", "https:a.example", "//a.example", "https://a.example%2f.evil/", "https://a.example:443:80/", "https://[a.example]/", "HTTPS://A.EXAMPLE./"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.Parse(address)
		if err != nil || door.Check(u) != nil {
			return
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		if fmt.Sprint(u.Scheme, " ", host, ":", u.Port()) != "https "+host+":"+u.Port() || host != "a.example" && host != "b.example" || host == "b.example" && u.Port() != "8443" {
			t.Fatalf("%q passes as %s", address, u)
		}
	})
}
