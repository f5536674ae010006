package feed

import (
	"context"
	"net/http"
	"path"

	"github.com/noroshi-cti/noroshi/internal/intake"
)

// onePart is the name of the only part of a feed that is one file.
const onePart = "file"

// maxFile bounds a file of a feed, as it comes.
const maxFile = 256 << 20

// readHTTPS reads the one file at a URL, when it has changed.
func (r *feeding) readHTTPS(ctx context.Context, out *outside) error {
	parts, err := r.reader.parts(ctx, r.feed)
	if err != nil {
		return err
	}
	var was *part
	if p, ok := parts[onePart]; ok {
		was = &p
	}
	res, err := out.get(ctx, out.base, was)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return nil
	}
	file, size, sum, err := r.spool(res.Body, maxFile)
	if err != nil {
		return err
	}
	p := piece{name: onePart, title: r.titleOf(out.base.Path), file: file, size: size, part: part{
		Print: sum.String(), Sum: sum.String(), ETag: headerOf(res, "ETag"), Modified: headerOf(res, "Last-Modified")}}
	if was != nil && was.Sum == p.Sum {
		return nil
	}
	if err := r.take(ctx, []piece{p}, nil); err != nil {
		return err
	}
	return r.fault
}

// titleOf is what a file is called in the record.
func (r *feeding) titleOf(p string) string {
	if base := path.Base(p); base != "/" && base != "." {
		return intake.Beginning([]byte(base))
	}
	return r.feed.Name
}

// maxHeader bounds what is kept of a header.
const maxHeader = 512

func headerOf(res *http.Response, name string) string {
	if v := res.Header.Get(name); len(v) <= maxHeader {
		return v
	}
	return ""
}
