package feed_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
)

// feedOf returns a good feed of a kind, changed.
func feedOf(kind feed.Kind, change func(*feed.Feed)) feed.Feed {
	f := feed.Feed{Name: "cert", Kind: kind, Every: time.Hour}
	switch kind {
	case feed.TAXII:
		f.URL, f.Collection = "https://h.example/api/", "c1"
	case feed.Folder:
		f.Path = "/srv/feed"
	default:
		f.URL = "https://h.example/feed/"
	}
	if change != nil {
		change(&f)
	}
	return f
}

func TestFeedCheck(t *testing.T) {
	t.Parallel()
	good := ""
	for _, tt := range []struct {
		name   string
		kind   feed.Kind
		change func(*feed.Feed)
		want   string
	}{
		{"taxii", feed.TAXII, nil, good},
		{"misp", feed.MISP, nil, good},
		{"misp in a folder", feed.MISP, func(f *feed.Feed) { f.URL, f.Path = "", "/srv/misp" }, good},
		{"https", feed.HTTPS, nil, good},
		{"folder", feed.Folder, nil, good},
		{"all that fits", feed.HTTPS, func(f *feed.Feed) {
			f.Access = feed.Access{User: "u", PasswordFile: "/p", CertFile: "/c", KeyFile: "/k"}
			f.Marking, f.Paused, f.RevokeVanished = "TLP:AMBER", true, true
		}, good},
		{"a profile", feed.TAXII, func(f *feed.Feed) { f.Profile = "none such" }, "profile.none"},
		{"no name", feed.TAXII, func(f *feed.Feed) { f.Name = "" }, "door.name"},
		{"no kind", "", nil, "feed.kind"},
		{"another kind", "ftp", nil, "feed.kind"},
		{"taxii without a collection", feed.TAXII, func(f *feed.Feed) { f.Collection = "" }, "feed.place-taxii"},
		{"taxii with a path", feed.TAXII, func(f *feed.Feed) { f.Path = "/x" }, "feed.place-taxii"},
		{"https without a URL", feed.HTTPS, func(f *feed.Feed) { f.URL = "" }, "feed.place-https"},
		{"https with a collection", feed.HTTPS, func(f *feed.Feed) { f.Collection = "c" }, "feed.place-https"},
		{"folder with a URL", feed.Folder, func(f *feed.Feed) { f.URL = "https://h.example/" }, "feed.place-folder"},
		{"folder without a path", feed.Folder, func(f *feed.Feed) { f.Path = "" }, "feed.place-folder"},
		{"misp in two places", feed.MISP, func(f *feed.Feed) { f.Path = "/x" }, "feed.place-misp"},
		{"misp nowhere", feed.MISP, func(f *feed.Feed) { f.URL = "" }, "feed.place-misp"},
		{"a file's URL", feed.HTTPS, func(f *feed.Feed) { f.URL = "file:///etc/passwd" }, "feed.url"},
		{"a user in the URL", feed.HTTPS, func(f *feed.Feed) { f.URL = "https://u:p@h.example/" }, "feed.url"},
		{"no URL at all", feed.HTTPS, func(f *feed.Feed) { f.URL = "https://%zz" }, "feed.url"},
		{"another scheme", feed.HTTPS, func(f *feed.Feed) { f.URL = "gopher://h.example/" }, "feed.scheme"},
		{"half a path", feed.Folder, func(f *feed.Feed) { f.Path = "feed" }, "feed.path"},
		{"a path that climbs", feed.Folder, func(f *feed.Feed) { f.Path = "/srv/../etc" }, "feed.path"},
		{"a token's path that climbs", feed.HTTPS, func(f *feed.Feed) { f.Access.TokenFile = "../t" }, "feed.path"},
		{"token and user", feed.HTTPS, func(f *feed.Feed) { f.Access = feed.Access{TokenFile: "/t", User: "u", PasswordFile: "/p"} }, "feed.access"},
		{"user without a password", feed.HTTPS, func(f *feed.Feed) { f.Access.User = "u" }, "feed.access"},
		{"certificate without a key", feed.HTTPS, func(f *feed.Feed) { f.Access.CertFile = "/c" }, "feed.access"},
		{"folder with a token", feed.Folder, func(f *feed.Feed) { f.Access.TokenFile = "/t" }, "feed.access-folder"},
		{"too often", feed.HTTPS, func(f *feed.Feed) { f.Every = time.Second }, "feed.every"},
		{"too seldom", feed.HTTPS, func(f *feed.Feed) { f.Every = 32 * 24 * time.Hour }, "feed.every"},
		{"vanished from taxii", feed.TAXII, func(f *feed.Feed) { f.RevokeVanished = true }, "feed.vanished"},
		{"marking and profile", feed.HTTPS, func(f *feed.Feed) { f.Marking, f.Profile = "TLP:RED", "x" }, "feed.marking"},
		{"a format", feed.Folder, func(f *feed.Feed) { f.Format, f.Access = "csv", feed.Access{} }, good},
		{"an unknown format", feed.HTTPS, func(f *feed.Feed) { f.Format = "xls" }, "import.format-unknown"},
		{"a format of taxii", feed.TAXII, func(f *feed.Feed) { f.Format = "list" }, "feed.format"},
		{"a certificate's path that climbs", feed.HTTPS, func(f *feed.Feed) { f.Access.CAFile = "../ca" }, "feed.path"},
		{"a marking that cannot be assigned", feed.HTTPS, func(f *feed.Feed) { f.Marking = "acs:x" }, "marking.only-tlp"},
	} {
		f := feedOf(tt.kind, tt.change)
		if got := noroshi.CodeOf(f.Check()); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		text, err := json.Marshal(f)
		var back feed.Feed
		if err != nil || json.Unmarshal(text, &back) != nil || back != f {
			t.Errorf("%s: kept as %s, error %v", tt.name, text, err)
		}
	}
}

func TestFeedDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	ran := func(d time.Duration) feed.State { return feed.State{Started: ago(d), Ended: ago(d)} }
	with := func(s feed.State, change func(*feed.State)) feed.State { change(&s); return s }
	m := time.Minute
	for _, tt := range []struct {
		name  string
		state feed.State
		every time.Duration
		in    time.Duration // from now until it is due
		due   bool
	}{
		{"never read", feed.State{}, time.Hour, 0, true},
		{"just read", ran(0), time.Hour, time.Hour, false},
		{"almost", ran(59 * m), time.Hour, m, false},
		{"just due", ran(60 * m), time.Hour, 0, true},
		{"overdue", ran(90 * m), time.Hour, -30 * m, true},
		{"the clock was set back", feed.State{Started: now.Add(m), Ended: now.Add(m)}, time.Hour, 0, true},
		{"broke off", feed.State{Started: ago(4 * m), Ended: ago(70 * m)}, time.Hour, m, false},
		{"failed once", with(ran(5*m), func(s *feed.State) { s.Failures = 1 }), time.Hour, 0, true},
		{"failed three times", with(ran(5*m), func(s *feed.State) { s.Failures = 3 }), time.Hour, 15 * m, false},
		{"failed often", with(ran(5*m), func(s *feed.State) { s.Failures = 1000 }), time.Hour, 55 * m, false},
		{"failed, and is read often", with(ran(m), func(s *feed.State) { s.Failures = 1 }), 2 * m, m, false},
		{"failed for good", with(ran(5*m), func(s *feed.State) { s.Failures, s.Lasting = 1, true }), time.Hour, 55 * m, false},
		{"asked to stay away", with(ran(90*m), func(s *feed.State) { s.NotUntil = now.Add(7 * m) }), time.Hour, 7 * m, false},
		{"asked to stay away for ever", with(ran(m), func(s *feed.State) { s.NotUntil = now.AddDate(90, 0, 0) }), time.Hour, 31*24*time.Hour - m, false},
	} {
		f := feedOf(feed.HTTPS, func(f *feed.Feed) { f.Every = tt.every })
		if at, due := tt.state.Due(f, now); at.Sub(now) != tt.in || due != tt.due {
			t.Errorf("%s: in %v, %v; want in %v, %v", tt.name, at.Sub(now), due, tt.in, tt.due)
		}
		f.Paused = true
		if _, due := tt.state.Due(f, now); due {
			t.Errorf("%s: due though paused", tt.name)
		}
	}
}

func TestVolume(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 20, 1, 0, 0, 0, time.UTC)
	days := func(counts ...int) (out []feed.Volume) { // the last is yesterday's
		for i, n := range counts {
			out = append(out, feed.Volume{Day: now.AddDate(0, 0, i-len(counts)).Format(time.DateOnly), Count: n})
		}
		return out
	}
	g, err := feed.NewGuard(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		before []feed.Volume
		today  int // admitted already
		n      int
		waits  bool
	}{
		{"a first load", nil, 0, 1_000_000, false},
		{"too few days to tell", days(100, 100), 0, 10_000, false},
		{"three times", days(100, 100, 100), 0, 300, false},
		{"more", days(100, 100, 100), 0, 301, true},
		{"more in many small runs", days(100, 100, 100), 300, 1, true},
		{"nothing, on a full day", days(100, 100, 100), 400, 0, false},
		{"few, where fewer are usual", days(1, 1, 1), 0, 100, false},
		{"many, where few are usual", days(1, 1, 1), 0, 101, true},
		{"after a first load", days(50_000, 100, 100, 100), 0, 301, true},
		{"a weekly feed", days(700, 0, 0, 0, 0, 0, 0, 690, 0, 0, 0, 0, 0, 0, 710, 0, 0, 0, 0, 0, 0), 0, 2000, false},
		{"two flooded days of four do not raise it", days(100, 100, 9000, 9000), 0, 500, true},
		{"days to come do not count", append(days(100, 100, 100), feed.Volume{Day: "2027-01-01", Count: 9000}, feed.Volume{Day: "2027-01-02", Count: 9000}, feed.Volume{Day: "2027-01-03", Count: 9000}, feed.Volume{Day: "2027-01-04", Count: 9000}), 0, 301, true},
	} {
		before := tt.before
		if tt.today > 0 {
			before = feed.Counted(before, now, tt.today)
		}
		if err := g.Judge(before, now, tt.n); (noroshi.CodeOf(err) == "feed.volume") != tt.waits {
			t.Errorf("%s: %v, want waiting %v", tt.name, err, tt.waits)
		}
	}
}

func TestCounted(t *testing.T) {
	t.Parallel()
	var days []feed.Volume
	start := time.Date(2026, 5, 1, 23, 59, 0, 0, time.UTC)
	for i := range 40 {
		days = feed.Counted(days, start.AddDate(0, 0, i), i)
	}
	if len(days) != 30 || days[0] != (feed.Volume{Day: "2026-05-11", Count: 10}) || days[29].Count != 39 {
		t.Errorf("%d days, from %v to %v", len(days), days[0], days[len(days)-1])
	}
	again := feed.Counted(days, start.AddDate(0, 0, 39).In(time.FixedZone("JST", 9*3600)), 1)
	if again[29].Count != 40 || days[29].Count != 39 {
		t.Errorf("the same day by another clock: %v, and before it %v", again[29], days[29])
	}
	if none := feed.Counted(nil, start, 0); len(none) > 0 {
		t.Errorf("nothing: %v", none)
	}
	if !reflect.DeepEqual(feed.Counted(days, start.AddDate(0, 0, 39), 0), days) {
		t.Error("nothing more changed something")
	}
}

func TestProtected(t *testing.T) {
	t.Parallel()
	g, err := feed.NewGuard([]string{"Mod.Example.", "防衛.example", ".army.example.mil"},
		[]netip.Prefix{netip.MustParsePrefix("198.51.100.7/24"), netip.MustParsePrefix("2001:db8::/32")},
		func(v noroshi.Value) []string {
			if v.Text == "8.8.8.8" {
				return []string{"public-dns", "google"}
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	free := ""
	for _, tt := range []struct {
		kind noroshi.ValueKind
		text string
		want string
	}{
		{noroshi.DomainName, "mod.example", "feed.own-domain"},
		{noroshi.DomainName, "www.mod.example", "feed.own-domain"},
		{noroshi.DomainName, "www.xn--yn2a96z.example", "feed.own-domain"}, // 防衛
		{noroshi.DomainName, "example", "feed.own-domain"},                 // it names all below it
		{noroshi.DomainName, "mil", "feed.own-domain"},
		{noroshi.DomainName, "example.mil", "feed.own-domain"},
		{noroshi.DomainName, "mod.example.evil.test", free},
		{noroshi.DomainName, "notmod.example", free},
		{noroshi.DomainName, "evil.test", free},
		{noroshi.URL, "https://mod.example/login", "feed.own-domain"},
		{noroshi.URL, "https://u@www.mod.example:8443/x?y", "feed.own-domain"},
		{noroshi.URL, "https://u@mod.example", "feed.own-domain"},
		{noroshi.URL, "https://mod.example@evil.test/", free},
		{noroshi.URL, "https://evil.test/mod.example", free},
		{noroshi.URL, "http://198.51.100.9:80/x", "feed.own-net"},
		{noroshi.URL, "http://[2001:db8::9]/x", "feed.own-net"},
		{noroshi.URLPart, "mod.example/x", "feed.own-domain"},
		{noroshi.URLPart, "evil.test/x", free},
		{noroshi.EmailAddr, "a@Mod.Example", "feed.own-domain"},
		{noroshi.EmailAddr, "mod.example@evil.test", free},
		{noroshi.IPv4, "198.51.100.255", "feed.own-net"},
		{noroshi.IPv4, "198.51.101.0", free},
		{noroshi.IPv6, "2001:db8:1::1", "feed.own-net"},
		{noroshi.IPv6, "::ffff:198.51.100.1", "feed.own-net"},
		{noroshi.AddrPort, "198.51.100.1", "feed.own-net"},
		{noroshi.CIDR, "198.51.100.128/25", "feed.own-net"},
		{noroshi.CIDR, "198.0.0.0/8", "feed.own-net"},
		{noroshi.CIDR, "0.0.0.0/0", "feed.own-net"},
		{noroshi.CIDR, "198.51.101.0/24", free},
		{noroshi.IPv4, "8.8.8.8", "feed.known-good"},
		{noroshi.MD5, "d41d8cd98f00b204e9800998ecf8427e", free},
	} {
		other := noroshi.Value{Kind: noroshi.DomainName, Text: "other.test"}
		if got := noroshi.CodeOf(g.Refuse([]noroshi.Value{other, {Kind: tt.kind, Text: tt.text}})); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.kind, tt.text, got, tt.want)
		}
		if err := g.Refuse([]noroshi.Value{other}); err != nil || g.Refuse(nil) != nil {
			t.Errorf("another value: %v", err)
		}
	}
	for _, d := range []string{"", ".", "mil", "a..b", "a b.c", "-.x"} {
		if _, err := feed.NewGuard([]string{d}, nil, nil); noroshi.CodeOf(err) != "feed.own-domain-form" {
			t.Errorf("own domain %q: %v", d, err)
		}
	}
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} {
		if _, err := feed.NewGuard(nil, []netip.Prefix{p}, nil); noroshi.CodeOf(err) != "feed.own-net-form" {
			t.Errorf("own network %v: %v", p, err)
		}
	}
}
