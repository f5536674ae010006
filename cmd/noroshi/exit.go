package main

import (
	"context"
	"errors"

	"github.com/noroshi-cti/noroshi"
)

// Exit codes, the same for every command and output form.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitNotFound  = 3
	exitForbidden = 4
	exitRefused   = 5   // by a release rule, or a second officer is missing
	exitQueued    = 6   // accepted, partner not reached (only with --wait)
	exitBroken    = 7   // signature, sequence or audit does not verify
	exitPartly    = 8   // partly done
	exitFindings  = 9   // only with --fail-on
	exitInterrupt = 130 // Ctrl-C
)

// errPartly, errFindings and errSamples carry their exit code without an error
// text: what is to be said is printed already.
var (
	errPartly   = errors.New("partly done")
	errFindings = errors.New("findings")
	errSamples  = errors.New("samples failed")
)

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errPartly):
		return exitPartly
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.Is(err, context.Canceled):
		return exitInterrupt
	}
	switch noroshi.KindOf(err) {
	case noroshi.Invalid:
		return exitUsage
	case noroshi.NotFound:
		return exitNotFound
	case noroshi.Forbidden:
		return exitForbidden
	case noroshi.Refused:
		return exitRefused
	case noroshi.Queued:
		return exitQueued
	case noroshi.Broken:
		return exitBroken
	}
	return exitFailed
}
