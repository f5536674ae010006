package web_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestEveryHitIsTaken: more hits than are taken in at once are all taken in.
func TestEveryHitIsTaken(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       []int
	}{
		{"none", "", []int{0}},
		{"fewer", `{"line":1}` + "\n", []int{1}},
		{"just so many", strings.Repeat(`{"line":1}`+"\n", 3), []int{3}},
		{"more", strings.Repeat(`{"line":1}`+"\n", 7), []int{3, 3, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []int
			err := web.EachHits(strings.NewReader(c.body), 3, func(some []detect.Hit) error {
				got = append(got, len(some))
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("taken %v (%v), want %v", got, err, c.want)
			}
		})
	}
	err := web.EachHits(strings.NewReader(strings.Repeat("{}\n", 4)+"{"), 3, func([]detect.Hit) error { return nil })
	if noroshi.KindOf(err) != noroshi.Invalid || !strings.Contains(err.Error(), "hit 5") {
		t.Errorf("a broken body: %v, want Invalid and the hit's number", err)
	}
}
