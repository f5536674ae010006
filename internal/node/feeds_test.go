package node_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
)

// TestFeedsConfig: what feeds may ask and what is our own is checked when it is
// read, and the field is named.
func TestFeedsConfig(t *testing.T) {
	t.Parallel()
	net := netip.MustParsePrefix
	for field, c := range map[string]node.FeedsConfig{
		"": {AllowHosts: []string{"feeds.example.org", "192.0.2.1:8443"}, AllowNets: []netip.Prefix{net("10.1.0.0/16")},
			OwnDomains: []string{"example.mil", "防衛.example"}, OwnNets: []netip.Prefix{net("192.0.2.0/24")}, KnownGood: []string{"rfc1918"}},
		"feeds.allow_hosts": {AllowHosts: []string{"https://feeds.example.org/"}},
		"feeds.allow_nets":  {AllowNets: []netip.Prefix{net("0.0.0.0/0")}},
		"feeds.own_domains": {OwnDomains: []string{"mil"}},
		"feeds.own_nets":    {OwnNets: []netip.Prefix{net("::/0")}},
	} {
		err := node.Init(t.Context(), filepath.Join(t.TempDir(), "usa"), node.Config{CallSign: "USA-01", Feeds: c})
		var e *noroshi.Error
		if field == "" && err != nil || field != "" && (!errors.As(err, &e) || e.Code != "config.field" || len(e.Args) < 2 || e.Args[1] != field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	err := node.Init(t.Context(), filepath.Join(t.TempDir(), "usa"), node.Config{CallSign: "USA-01", Feeds: node.FeedsConfig{KnownGood: []string{"no-such-list"}}})
	var e *noroshi.Error
	if !errors.As(err, &e) || e.Code != "config.field" || len(e.Args) < 2 || e.Args[1] != "feeds.known_good" {
		t.Errorf("a list that is not there: %v", err)
	}
}
