package store_test

import (
	"reflect"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestQuarantineReason: a reason is read as it was kept, with the code and the
// arguments that words of another language are made of, and nothing that somebody
// else's text says is taken for a code.
func TestQuarantineReason(t *testing.T) {
	t.Parallel()
	s := open(t)
	why := noroshi.Tell(noroshi.Errorf(noroshi.Refused, "message.suite", "suite %s is not agreed with %s", "S1", "JPN-01"))
	for _, c := range []struct {
		put  store.Quarantined
		want noroshi.Told
	}{
		{store.Quarantined{Why: why}, why},
		{store.Quarantined{Detail: "no such value"}, noroshi.Told{Message: "no such value"}},
		{store.Quarantined{}, noroshi.Told{}},
		{store.Quarantined{Detail: `{"code":"x","message":"forged"}`}, noroshi.Told{Message: `{"code":"x","message":"forged"}`}},
		{store.Quarantined{Detail: "{ is no value"}, noroshi.Told{Message: "{ is no value"}},
	} {
		q := c.put
		q.Source, q.Code = noroshi.Source{Kind: noroshi.FromFeed, Name: "cert"}, "malformed"
		if _, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error { return tx.Quarantine(q) }); err != nil {
			t.Fatal(err)
		}
		list, err := s.QuarantineList(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		got := list[len(list)-1]
		if !reflect.DeepEqual(got.Why, c.want) || got.Detail != c.want.Message {
			t.Errorf("%+v: got %+v, %q", c.put, got.Why, got.Detail)
		}
	}
	if v, err := s.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("%v %v", err, v.Faults)
	}
}
