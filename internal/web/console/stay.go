package console

import (
	"encoding/json"
	"net/http"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

// What somebody is writing stands in their page alone. So a page goes on without
// being loaded again, and a form that comes after the end of its session is told
// how it can be sent once more.

// Words say when the session ends.
func (e ending) Words(l locale.Lang) string {
	key := "console.ending.idle"
	if e.Last {
		key = "console.ending.last"
	}
	return locale.T(l, key, momentOf(l, e.At, e.At).JST)
}

// stay is asked for by a page that stays as it is, and answers what that says of
// its session's end from then on.
func stay(v *visit) error {
	e := page{visit: v}.Ending()
	v.w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(v.w).Encode(struct {
		In   int    `json:"in"`
		Text string `json:"text"`
		Last bool   `json:"last"`
	}{e.In, e.Words(v.lang), e.Last})
}

// ended answers a form that came after the end of its session: the browser still
// has it, and sends it again when this page is loaded again.
func ended(v *visit) error { return v.showAs(http.StatusUnauthorized, "ended", nil) }
