package node_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestToolsBehindARelay: a loopback address is the inner door only where no relay
// brings others to it, as an endpoint on another machine says.
func TestToolsBehindARelay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		endpoints []string
		want      int
	}{
		"none":            {nil, http.StatusOK},
		"a wire here":     {[]string{"https://127.0.0.1:7101"}, http.StatusOK},
		"this machine":    {[]string{"https://localhost:7101", "https://[::1]:7101"}, http.StatusOK},
		"a relay":         {[]string{"https://noroshi.example.mil:7101"}, http.StatusUnauthorized},
		"a relay as well": {[]string{"https://127.0.0.1:7101", "https://192.0.2.7"}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := l.Addr().String()
			l.Close()
			dir := t.TempDir()
			if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01", Listen: addr, Endpoints: c.endpoints}); err != nil {
				t.Fatal(err)
			}
			n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{Serving: true})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done, ready := make(chan error, 1), make(chan struct{})
			go func() { done <- n.Serve(ctx, func() { close(ready) }) }()
			<-ready
			if got := visited(t, n, "https://"+addr+"/taxii2/"); got != c.want {
				t.Errorf("one of our own tools gets %d, want %d", got, c.want)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// visited makes one of our own tools and says what status it gets.
func visited(t *testing.T, n *node.Node, url string) int {
	t.Helper()
	invoke := func(name string, in, out any) {
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var written json.RawMessage
		got, err := web.Invoke(t.Context(), n.Services(), name, body, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if written, err = json.Marshal(got); err != nil || out != nil && json.Unmarshal(written, out) != nil {
			t.Fatalf("%s: %s %v", name, written, err)
		}
	}
	var token web.ClientToken
	invoke("collection.add", web.CollectionAdd{Name: "c"}, nil)
	invoke("client.add", web.ClientAdd{Name: "tool", Read: []string{"c"}}, &token)
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("tool", token.Token)
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	for {
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err == nil {
			resp.Body.Close()
			return resp.StatusCode
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}
