package console

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// jitter is how many bytes at most are added to a packed answer, as its content
// decides. How long an answer is when it is packed tells who sees its length and
// chooses a part of it something about the rest of it (BREACH). What a page shows of
// a request (?q=…) nobody else can choose, since the cookie is sent with no request
// that another site makes; what a partner wrote somebody did choose. Nothing on a
// page outlasts it: a nonce works once, and the cookie stands on none.
const jitter = 64

// packed sends answers with gzip to whoever takes it, except the stream of events:
// what it says is shorter than what packing it would add, and must not wait.
func packed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.RandomJitter(jitter, 0, true))
	if err != nil {
		panic("console: " + err.Error()) // options of our own
	}
	smaller := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			next.ServeHTTP(w, r)
			return
		}
		smaller(w, r)
	})
}
