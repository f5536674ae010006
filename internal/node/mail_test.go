package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestMailInAFolder: a node whose mail goes by a folder says so; letters nothing
// fetches are a fault that doctor names, and what comes in is counted.
func TestMailInAFolder(t *testing.T) {
	t.Parallel()
	dir, spool, metrics := filepath.Join(t.TempDir(), "jpn"), t.TempDir(), free(t)
	err := node.Init(t.Context(), dir, node.Config{CallSign: "JPN-01", Metrics: metrics, Endpoints: []string{"mailto:noroshi@jpn.example"},
		Mail: node.MailConfig{From: "noroshi@jpn.example", Spool: spool}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{Serving: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, nil) }()
	doctor := func() (code string) {
		t.Helper()
		result, err := web.Invoke(t.Context(), n.Services(), "doctor", nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range result.([]web.Check) {
			if c.Name == "mail" {
				code += c.Code
			}
		}
		return code
	}
	if got := doctor(); got != "mail-works" {
		t.Errorf("doctor says %q", got)
	}
	put := func(folder string, old time.Duration) {
		t.Helper()
		name, at := filepath.Join(spool, folder, "x.eml"), time.Now().Add(-old)
		if err := errors.Join(os.WriteFile(name+".part", []byte("Subject: x\n\nx\n"), 0o600), os.Chtimes(name+".part", at, at), os.Rename(name+".part", name)); err != nil {
			t.Fatal(err)
		}
	}
	put("out", 2*time.Hour)
	put("in", 2*time.Hour)
	if got := doctor(); got != "mail-fails" {
		t.Errorf("with letters nobody fetches doctor says %q", got)
	}
	for !strings.Contains(get(t, "http://"+metrics+"/metrics"), `noroshi_mail_total{what="dropped"} 1`) {
		if t.Context().Err() != nil {
			t.Fatal("metrics never count a stray letter")
		}
	}
	stop()
	if err := errors.Join(<-done, n.Close()); err != nil {
		t.Errorf("serve: %v", err)
	}
}
