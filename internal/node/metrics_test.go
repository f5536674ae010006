package node_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestMetricsAndHealth: a listener of their own, figures by name, and nothing
// of an object in them.
func TestMetricsAndHealth(t *testing.T) {
	dir := t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{Serving: true, Override: func(c *node.Config) { c.Metrics = addr }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- n.Serve(ctx, func() { close(ready) }) }()
	<-ready
	if _, err := web.Invoke(t.Context(), n.Services(), "import", []byte(`{"name":"secret-list","marking":"tlp:red"}`), strings.NewReader("secret-value.example\n"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := web.Invoke(t.Context(), n.Services(), "feed.add", []byte(`{"name":"drop","kind":"folder","path":"/nowhere-to-be-found","every":"1h","paused":true}`), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := web.Invoke(t.Context(), n.Services(), "feed.run", []byte(`{"name":"drop"}`), nil, nil); noroshi.KindOf(err) != noroshi.Invalid {
		t.Fatalf("a feed of no folder: %v", err)
	}
	head, err := n.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Watch.ArmedUpTo(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	if body := get(t, "http://"+addr+"/health"); !strings.Contains(body, `"healthy":true`) {
		t.Errorf("health: %s", body)
	}
	body := get(t, "http://"+addr+"/metrics")
	for _, want := range []string{"noroshi_indicators_armed 1", "noroshi_feed_sequence ", "process_resident_memory_bytes",
		`noroshi_feed_success_age_seconds{feed="drop"} `, `noroshi_feed_failures{feed="drop"} 1`, `noroshi_feed_waiting{feed="drop"} 0`} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	if strings.Contains(body, "secret") {
		t.Error("metrics name what is in the store")
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// get asks until somebody listens: the listener comes up beside the socket.
func get(t *testing.T, url string) string {
	t.Helper()
	for {
		resp, err := http.Get(url)
		if err != nil {
			if t.Context().Err() != nil {
				t.Fatal(err)
			}
			continue
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", url, resp.Status, err)
		}
		return string(b)
	}
}
