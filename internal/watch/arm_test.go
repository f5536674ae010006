package watch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/watch"
)

func TestTheIndexEqualsTheStore(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile,
		indicator(1, domain("one.example"), noroshi.Green, ""),
		indicator(2, domain("good.example"), noroshi.Green, ""),
		indicator(3, "[domain-name:value MATCHES '^x.*$']", noroshi.Green, ""),
		indicator(4, domain("revoked.example"), noroshi.Green, `,"revoked":true`),
	)
	stop := d.running()
	d.settled()
	check := func(want ...int) {
		t.Helper()
		for n := 1; n < 8; n++ {
			wanted := strings.Contains(fmt.Sprint(want), fmt.Sprint(n))
			if got := d.index.Armed(indicatorID(n)); got != wanted {
				t.Errorf("indicator %d armed: %v, want %v", n, got, wanted)
			}
		}
	}
	counts := func(indicators, notArmed, knownGood int) {
		t.Helper()
		<-d.watch.Counted()
		a, err := d.watch.Armed(t.Context())
		if err != nil || a.Indicators != indicators || a.NotArmed != notArmed || a.KnownGood != knownGood {
			t.Errorf("counts %+v, %v; want %d armed, %d not, %d known good", a, err, indicators, notArmed, knownGood)
		}
	}
	check(1, 2)
	counts(2, 1, 1)

	// New ones while it runs, from a partner too.
	d.admit(fromPartner, indicator(5, domain("five.example"), noroshi.Amber, ""))
	d.settled()
	check(1, 2, 5)

	// A later version revokes; another source's later version does not.
	d.admit(fromFile, strings.Replace(indicator(1, domain("one.example"), noroshi.Green, `,"revoked":true`), `"modified":"2026-01-01`, `"modified":"2026-02-01`, 1))
	d.admit(fromFile, strings.Replace(indicator(5, domain("five.example"), noroshi.Amber, `,"revoked":true`), `"modified":"2026-01-01`, `"modified":"2026-02-01`, 1))
	d.settled()
	check(2, 5)

	// A later version that mends the pattern arms; one that breaks it disarms.
	d.admit(fromFile, strings.Replace(indicator(3, domain("three.example"), noroshi.Green, ""), `"modified":"2026-01-01`, `"modified":"2026-02-01`, 1))
	d.admit(fromFile, strings.Replace(indicator(2, "[process:name = 'x']", noroshi.Green, ""), `"modified":"2026-01-01`, `"modified":"2026-02-01`, 1))
	d.settled()
	check(3, 5)
	counts(2, 1, 0)

	// Withdrawn is for ever.
	_, err := d.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActWithdraw, Subject: "x"}, func(tx *store.Tx) error {
		return tx.Withdraw(indicatorID(5), fromPartner.Owner())
	})
	if err != nil {
		t.Fatal(err)
	}
	d.settled()
	check(3)
	d.admit(fromPartner, strings.Replace(indicator(5, domain("five.example"), noroshi.Amber, ""), `"modified":"2026-01-01`, `"modified":"2026-03-01`, 1))
	d.settled()
	check(3)

	// The same after a start from nothing, and in an index of its own.
	stop()
	d.restart()
	if err := d.watch.Arm(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(3)
	d.running()
	counts(1, 1, 0)
	own := detect.NewIndex(detect.Options{})
	if err := watch.Load(t.Context(), d.store, own); err != nil || own.Stats().Indicators != 1 {
		t.Errorf("an index of its own: %+v, %v", own.Stats(), err)
	}
}

func TestTwoBodiesAreNeverArmed(t *testing.T) {
	d := newDesk(t)
	d.running()
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Green, ""))
	d.settled()
	d.admit(fromFile, indicator(1, domain("two.example"), noroshi.Green, ""))
	d.settled()
	if d.index.Armed(indicatorID(1)) {
		r, err := d.store.Current(t.Context(), indicatorID(1))
		t.Errorf("armed with two bodies under one modified: current %+v, %v", r, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	d := newDesk(t)
	d.running()
	d.settled()
	n := tier.N(2000, 50_000)
	var batch []string
	for i := range n {
		batch = append(batch, indicator(i, domain(fmt.Sprintf("n%d.example", i)), noroshi.Green, ""))
		if len(batch) == 1000 || i == n-1 {
			d.admit(fromFile, batch...)
			batch = nil
		}
	}
	d.settled()
	if a, err := d.watch.Armed(t.Context()); err != nil || a.Indicators != n {
		t.Errorf("%d armed of %d, %v", a.Indicators, n, err)
	}
}
