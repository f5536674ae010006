package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/noroshi-cti/noroshi"
)

// Client speaks to a running node through the socket in its data folder.
type Client struct{ http http.Client }

// NewClient returns a client of the socket at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &Client{http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Call runs an operation at the node; body may be nil. The result is decoded
// into out unless out is nil. Errors of the node come back as *noroshi.Error.
func (c *Client) Call(ctx context.Context, op string, in any, body io.Reader, progress func(json.RawMessage), out any) error {
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	var whole io.Reader = bytes.NewReader(append(input, '\n'))
	if body != nil {
		whole = io.MultiReader(whole, body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/api/v1/"+op, whole)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for {
		var l line
		if err := dec.Decode(&l); err != nil {
			return noroshi.Errorf(noroshi.Other, "api.broken-off", "the node broke off: %w", err)
		}
		switch {
		case l.Error != nil:
			return l.Error.Error(l.Error.Kind)
		case l.Result != nil:
			if out == nil {
				return nil
			}
			return json.Unmarshal(l.Result, out)
		case l.Progress != nil && progress != nil:
			progress(l.Progress)
		}
	}
}

// NotRunning reports whether err says that nobody listens on the socket.
func NotRunning(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
