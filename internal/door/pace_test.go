package door_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/door"
)

// TestPartnersReadAtAPace: a partner's clients, however many, fill the record no
// faster than so many reads a minute, and one of our own tools is not kept.
func TestPartnersReadAtAPace(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	clients := []visitor{o.letPartner("one", jpn), o.letPartner("two", jpn)}
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}})
	read := func(v visitor, collection string) int {
		return v.ask("GET", inColl+collection+"/manifest/", "").Code
	}
	const partner = "partner.0200000000000000"
	n := 0
	for ; n < 5000 && read(clients[n%2], partner) == http.StatusOK; n++ {
	}
	if n != 2000 {
		t.Errorf("%d reads in a row, want 2000", n)
	}
	if code := read(clients[0], partner); code != http.StatusServiceUnavailable {
		t.Errorf("one more read: %d", code)
	}
	if code := read(tool, "tools"); code != http.StatusOK {
		t.Errorf("a tool of our own: %d", code)
	}
	o.pass(time.Minute)
	for n = 0; n < 1000 && read(clients[0], partner) == http.StatusOK; n++ {
	}
	if n != 120 {
		t.Errorf("%d reads a minute later, want 120", n)
	}
}
