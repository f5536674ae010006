package web

import "context"

// EachHits is eachHits.
var EachHits = eachHits

// Begin is begin.
func (c *Checker) Begin(verify func(ctx context.Context, progress func(done, total uint64)) (Audited, error)) {
	c.begin(verify)
}

// End is end.
func (c *Checker) End() { c.end() }

// Checking is checking.
func (c *Checker) Checking() Checking { return c.checking() }
