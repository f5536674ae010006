package console_test

import (
	"html"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestAlarmIsOnThePicture: what should not have happened stands on the first
// screen of everybody, in words; without alarms there is no such list.
func TestAlarmIsOnThePicture(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("duty")
	if _, body := r.get("/"); strings.Contains(body, `id="alarms"`) {
		t.Error("a node without alarms lists some")
	}
	_, err := p.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAlarm, Subject: "nonsense", Precedence: noroshi.Immediate}, func(tx *store.Tx) error {
		return tx.Notice(store.AlarmRaised, "link.nonsense")
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range locale.Langs {
		r.post("/prefer", "lang", string(l))
		if _, body := r.get("/"); !strings.Contains(html.UnescapeString(body), locale.T(l, "alarm.link.nonsense")) {
			t.Errorf("the picture does not tell of the alarm in %s:\n%s", l, body)
		}
	}
}
