package taxii

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi/stix"
)

// Post sends objects to a collection in one envelope, byte for byte (section
// 5.5), and waits until the server has dealt with them, at most for patience; 0
// does not wait. A Status that is still "pending" then is no error: ask for it
// by its ID.
func (c *Client) Post(ctx context.Context, root, collection string, objects [][]byte, patience time.Duration) (Status, error) {
	var s Status
	for i, o := range objects {
		if _, err := stix.Parse(o); err != nil {
			return s, fmt.Errorf("object %d: %w", i, err)
		}
	}
	u, err := c.at(root, "collections", collection, "objects")
	if err != nil {
		return s, err
	}
	body := append(append([]byte(`{"objects":[`), bytes.Join(objects, []byte(","))...), "]}"...)
	r, err := c.call(ctx, http.MethodPost, u, body)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(r.body, &s); err != nil {
		return s, r.unreadable(err)
	}
	return c.settle(ctx, root, s, patience)
}

// settle asks for a status until it is complete.
func (c *Client) settle(ctx context.Context, root string, s Status, patience time.Duration) (Status, error) {
	wait := c.o.MinWait
	for s.pending() && s.ID != "" && patience > 0 {
		wait = min(wait, patience)
		patience -= wait
		if err := c.o.Wait(ctx, wait); err != nil {
			return s, err
		}
		now, err := c.Status(ctx, root, s.ID)
		if err != nil {
			return s, err
		}
		s = now
		wait = min(2*wait, c.o.MaxWait)
	}
	return s, nil
}

// pending: a server that spells it otherwise, or leaves it out, is believed by
// its count.
func (s Status) pending() bool {
	switch strings.ToLower(s.Status) {
	case "complete", "completed":
		return false
	case "pending":
		return true
	}
	return s.PendingCount > 0
}
