package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"sync"
)

// The files beside the pages: our style and script, each put together of one
// part for the frame and one a screen, and htmx 4.0.1 with its extension for
// event streams, as published (0BSD, htmx.LICENSE.txt; their SHA-256 are held by
// a test).
//
//go:embed static
var staticFiles embed.FS

// staticFile is a file as it is served.
type staticFile struct {
	kind, hash string
	body       []byte
}

var kinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}

// statics are the files by name, read once.
var statics = sync.OnceValue(func() map[string]staticFile {
	all := map[string]staticFile{}
	add := func(name string, body []byte) {
		sum := sha256.Sum256(body)
		all[name] = staticFile{kinds[path.Ext(name)], hex.EncodeToString(sum[:6]), body}
	}
	for _, kind := range []string{"css", "js"} {
		add("console."+kind, joined("static/"+kind))
	}
	for _, name := range []string{"flame.svg", "flash.svg", "htmx.min.js", "hx-sse.min.js", "htmx.LICENSE.txt"} {
		add(name, read("static/"+name))
	}
	return all
})

func joined(dir string) []byte {
	files, err := fs.ReadDir(staticFiles, dir)
	if err != nil {
		panic("console: " + err.Error())
	}
	var parts [][]byte
	for _, f := range files {
		parts = append(parts, read(dir+"/"+f.Name()))
	}
	return bytes.Join(parts, []byte("\n"))
}

func read(name string) []byte {
	b, err := staticFiles.ReadFile(name)
	if err != nil {
		panic("console: " + err.Error())
	}
	return b
}

func static(w http.ResponseWriter, r *http.Request) {
	f, ok := statics()[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // asked for by its hash
	_, _ = w.Write(f.body)
}

// hashed is the address of a static file: another one when the file changes.
func hashed(name string) string { return "/static/" + name + "?" + statics()[name].hash }
