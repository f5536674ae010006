package noroshi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/noroshi-cti/noroshi"
)

// TestTold: what is kept of an error gives it back with all that words in another
// language are made of, the cause's too.
func TestTold(t *testing.T) {
	t.Parallel()
	cause := noroshi.Errorf(noroshi.Queued, "https.refused", "endpoint %s refuses connections", "https://a")
	for name, c := range map[string]struct {
		err   error
		code  string
		cause string
	}{
		"plain":        {errors.New("cut"), "", ""},
		"with a code":  {cause, "https.refused", ""},
		"with a cause": {noroshi.Errorf(noroshi.Queued, "courier.no-answer", "%s did not answer: %w", "JPN-01", cause), "courier.no-answer", "https.refused"},
		"wrapped":      {fmt.Errorf("send: %w", cause), "https.refused", ""},
	} {
		b, err := json.Marshal(noroshi.Tell(c.err))
		if err != nil {
			t.Fatal(err)
		}
		var told noroshi.Told
		if err := json.Unmarshal(b, &told); err != nil {
			t.Fatal(err)
		}
		got := told.Error(noroshi.KindOf(c.err))
		if got.Error() != c.err.Error() || got.Code != c.code || noroshi.KindOf(got) != noroshi.KindOf(c.err) {
			t.Errorf("%s: %+v", name, got)
		}
		if inner, _ := got.Err.(*noroshi.Error); inner == nil && c.cause != "" || inner != nil && inner.Code != c.cause {
			t.Errorf("%s: cause %v, want %q", name, inner, c.cause)
		}
	}
	if got := noroshi.Tell(nil); !reflect.DeepEqual(got, noroshi.Told{}) {
		t.Errorf("of no error: %+v", got)
	}
}
