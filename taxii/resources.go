package taxii

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// discovery answers section 4.1.
func (c *call) discovery() error {
	root := c.opts.Root
	if strings.HasPrefix(c.opts.Origin, "https://") {
		root = strings.TrimSuffix(c.opts.Origin, "/") + root
	}
	return c.tagged(Discovery{
		Title: c.opts.Title, Description: c.opts.Description, Contact: c.opts.Contact,
		Default: root, APIRoots: []string{root},
	})
}

// apiRoot answers section 4.2.
func (c *call) apiRoot() error {
	return c.tagged(APIRoot{
		Title: c.opts.Title, Description: c.opts.Description,
		Versions: []string{MediaType}, MaxContentLength: c.opts.MaxContent,
	})
}

// status answers section 4.3.
func (c *call) status() error {
	s, err := c.backend.Status(c.r.Context(), c.client, strings.ToLower(c.names[0]))
	if err != nil {
		return err
	}
	return c.resource(http.StatusOK, s)
}

// collections answers section 5.1.
func (c *call) collections() error {
	all, err := c.backend.Collections(c.r.Context(), c.client)
	if err != nil {
		return err
	}
	return c.tagged(struct {
		Collections []Collection `json:"collections,omitempty"`
	}{all})
}

// collection answers section 5.2.
func (c *call) collection() error {
	col, err := c.find()
	if err != nil {
		return err
	}
	return c.tagged(col)
}

// find returns the collection of the path, by its id or else by its alias. An
// alias that two have, which section 5.2.1 forbids, names neither.
func (c *call) find() (Collection, error) {
	all, err := c.backend.Collections(c.r.Context(), c.client)
	if err != nil {
		return Collection{}, err
	}
	for _, col := range all {
		if strings.EqualFold(col.ID, c.names[0]) {
			return col, nil
		}
	}
	var found []Collection
	for _, col := range all {
		if col.Alias != "" && col.Alias == c.names[0] {
			found = append(found, col)
		}
	}
	if len(found) != 1 {
		return Collection{}, ErrNotFound
	}
	return found[0], nil
}

// tagged answers with a resource that has an entity tag: a hash of what this
// client gets, so that it tells nothing else.
func (c *call) tagged(resource any) error {
	body, err := json.Marshal(resource)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(body)
	// Weak, for one tag stands for the body in every coding.
	tag := `W/"` + base64.RawURLEncoding.EncodeToString(hash[:16]) + `"`
	c.w.Header().Set("ETag", tag)
	if matches(c.r.Header.Values("If-None-Match"), tag) {
		c.w.wrote = true
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return c.w.bytes(http.StatusOK, body)
}

// resource answers with a resource that has no entity tag.
func (c *call) resource(status int, resource any) error {
	body, err := json.Marshal(resource)
	if err != nil {
		return err
	}
	return c.w.bytes(status, body)
}
