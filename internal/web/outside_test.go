package web_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestOutsideHearsTheCodeAlone: what nobody classified is told in full to whoever
// has the data folder; outside hears its code, and the log has its text.
func TestOutsideHearsTheCodeAlone(t *testing.T) {
	t.Parallel()
	failed := errors.New("open /srv/noroshi/secret: broken")
	for name, c := range map[string]struct {
		run  func(*web.Services, http.ResponseWriter, *http.Request)
		told bool
	}{
		"by the socket": {func(s *web.Services, w http.ResponseWriter, r *http.Request) { web.Serve(s, w, r, "status") }, true},
		"over HTTPS": {func(s *web.Services, w http.ResponseWriter, r *http.Request) {
			web.Serve(s, w, r.WithContext(web.WithCaller(r.Context(), noroshi.Person{ID: "duty"})), "status")
		}, false},
		"no operation": {func(s *web.Services, w http.ResponseWriter, _ *http.Request) {
			web.Fail(s, w, http.StatusInternalServerError, failed)
		}, false},
	} {
		var log strings.Builder
		w := httptest.NewRecorder()
		c.run(&web.Services{Log: slog.New(slog.NewTextHandler(&log, nil))}, w, httptest.NewRequest(http.MethodPost, "/api/v1/status", iotest.ErrReader(failed)))
		if body := w.Body.String(); strings.Contains(body, "secret") != c.told || !strings.Contains(body, `"code":"internal`) || !strings.Contains(log.String(), "secret") {
			t.Errorf("%s: %s, log %s", name, body, log.String())
		}
		number := regexp.MustCompile(`"args":\["([A-Z2-7]{8})"\]`).FindStringSubmatch(w.Body.String())
		if (number == nil) != c.told || number != nil && !strings.Contains(log.String(), "incident="+number[1]) {
			t.Errorf("%s: incident %v in %s", name, number, log.String())
		}
	}
}
