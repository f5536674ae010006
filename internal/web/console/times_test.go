package console_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// TestTimesSayTheirDay: a time of a day that is over is shown with that day, and
// one of today without; a page that is open past midnight moves its dates on too.
func TestTimesSayTheirDay(t *testing.T) {
	t.Parallel()
	party := nodetest.New(t, "JPN-01", noroshi.Real)
	id := warnOf(t, party, noroshi.Flash, "Of the day before", "前日の警報")
	var d web.WarningDetail
	party.Must("warning.show", web.ObjectRef{ID: id}, &d)
	by, err := party.Signed(t.Context(), "duty", noroshi.ActAck, string(id), d.Hash)
	if err != nil {
		t.Fatal(err)
	}
	party.Must("warning.ack", web.SignedRef{Subject: string(id), By: by}, nil)
	party.Must("warning.show", web.ObjectRef{ID: id}, &d)
	party.Stop()
	party.Ahead = 24 * time.Hour
	party.Start()
	today := warnOf(t, party, noroshi.Priority, "Of today", "本日の警報")

	p := consoletest.Open(t, consoleOf(party))
	for _, l := range locale.Langs {
		day := func(t time.Time) string { return locale.Day(l, t.In(locale.JST)) }
		p.SignIn("duty", nodetest.Passphrase, string(l))
		p.Go("/warnings?all=1")
		for path, want := range map[string]bool{string(id): true, string(today): false} {
			row := fmt.Sprintf(`tr:has(a[href="/warnings/%s"])`, path)
			if sent := p.Text(row + " .tm"); strings.Contains(sent, day(d.Published)) != want {
				t.Errorf("%s: sent %q", l, sent)
			}
			if ack := p.Text(row + " .ack"); want && !strings.Contains(ack, "duty "+day(d.Acks[0].Time)) {
				t.Errorf("%s: acknowledged %q", l, ack)
			}
		}
		consoletest.Value(p, chromedp.Evaluate[bool](`(() => { const now = Date.now; Date.now = () => now() + 48 * 3600e3; return true })()`))
		for i, shown := range consoletest.Value(p, chromedp.Evaluate[[]string](`[].map.call(document.querySelectorAll(".clocks i"), i => i.dataset.day)`)) {
			from, err := time.Parse(time.DateOnly, shown)
			if err != nil {
				t.Fatal(err)
			}
			p.Until(fmt.Sprintf(`document.querySelectorAll(".clocks i")[%d].textContent === %q`, i, locale.Day(l, from.AddDate(0, 0, 2))))
		}
		p.Leave(`.who .btn`)
	}
}
