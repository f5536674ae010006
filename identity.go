package noroshi

import "github.com/noroshi-cti/noroshi/stix"

// IdentityOf reads the STIX identity object on a card strictly and returns its
// id (STIX 2.1 §4.5).
func IdentityOf(raw []byte) (stix.ID, error) {
	o, err := stix.Parse(raw)
	if err != nil {
		return "", Errorf(Invalid, "identity.form", "read identity: %w", err)
	}
	if o.Type != "identity" {
		return "", Errorf(Invalid, "identity.form", "read identity: is a %s", o.Type)
	}
	return o.ID, nil
}
