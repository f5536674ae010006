package web

import (
	"context"
	"encoding/json"

	"github.com/noroshi-cti/noroshi"
)

// counted keeps the counters of passkeys that signed what an operation is called
// with, by whichever way it came, before anything is done: one that does not rise
// is refused. Only what is really a passkey's moves its counter; whether it is over
// what is to be done, the operation says.
func (c *Call) counted(ctx context.Context) error {
	var in struct {
		By   *noroshi.Signed `json:"by"`
		With *noroshi.Signed `json:"with"`
	}
	if json.Unmarshal(c.Input, &in) != nil {
		return nil // the operation says what is wrong with it
	}
	for _, s := range []*noroshi.Signed{in.By, in.With} {
		if s == nil {
			continue
		}
		a, packed := noroshi.UnpackAssertion(s.Signature)
		if !packed {
			continue
		}
		register, err := c.Store.Persons(ctx)
		if err != nil {
			return err
		}
		if !register[s.Person].Signed(s.Digest, s.Signature) {
			continue
		}
		if err := c.CountPasskey(ctx, s.Person, a); err != nil {
			return err
		}
	}
	return nil
}
