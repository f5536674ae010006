package lift

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi/stix"
)

// productTree says what an advisory calls its products (CSAF 2.0 §3.2.2).
type productTree struct {
	Branches []branch   `json:"branches"`
	Names    []fullName `json:"full_product_names"`
	Groups   []struct {
		ID       string   `json:"group_id"`
		Products []string `json:"product_ids"`
	} `json:"product_groups"`
	Relationships []struct {
		Name fullName `json:"full_product_name"`
	} `json:"relationships"`
}

type branch struct {
	Category string   `json:"category"`
	Name     string   `json:"name"`
	Branches []branch `json:"branches"`
	Product  fullName `json:"product"`
}

type fullName struct {
	ID     string                    `json:"product_id"`
	Name   string                    `json:"name"`
	Helper map[string]jsontext.Value `json:"product_identification_helper"`
}

// product is one product as STIX has it (§6.14).
type product struct{ name, vendor, version, cpe string }

func (p product) software() (*stix.Object, error) {
	return software(p.name, p.vendor, p.version, p.cpe)
}

// Bounds of a tree.
const (
	maxBranches = 30 // below each other
	maxProducts = 100_000
)

// cpe23 is a CPE 2.3 name of hardware or software.
var cpe23 = regexp.MustCompile(`^cpe:2\.3:[aho*-](:(((\?*|\*?)([a-zA-Z0-9._-]|(\\[\\*?!"#$%&'()+,/:;<=>@\[\]^` + "`" + `{|}~]))+(\?*|\*?))|[*-])){5}(:(([a-zA-Z]{2,3}(-([a-zA-Z]{2}|[0-9]{3}))?)|[*-]))(:(((\?*|\*?)([a-zA-Z0-9._-]|(\\[\\*?!"#$%&'()+,/:;<=>@\[\]^` + "`" + `{|}~]))+(\?*|\*?))|[*-])){4}$`)

// readTree gathers the products by their ids.
func (c *csaf) readTree() error {
	c.products = map[string]product{}
	for _, n := range c.a.Tree.Names {
		c.product(n, product{})
	}
	if err := c.branches(c.a.Tree.Branches, product{}, 1); err != nil {
		return err
	}
	for _, r := range c.a.Tree.Relationships {
		c.product(r.Name, product{})
		c.doc.note(Place{Path: "/product_tree/relationships"}, "csaf-relationship", clip(r.Name.Name))
	}
	if len(c.products) > maxProducts {
		return &Error{At: Place{Path: "/product_tree"}, Msg: "more than 100,000 products"}
	}
	return nil
}

func (c *csaf) branches(list []branch, above product, depth int) error {
	if depth > maxBranches {
		return &Error{At: Place{Path: "/product_tree/branches"}, Msg: "more than 30 branches below each other"}
	}
	for _, b := range list {
		in := above
		switch b.Category {
		case "vendor":
			in.vendor = b.Name
		case "product_version":
			in.version = b.Name
		case "product_version_range":
			c.doc.note(Place{Path: "/product_tree/branches"}, "csaf-range", clip(b.Name))
		}
		if b.Product.ID != "" {
			c.product(b.Product, in)
		}
		if err := c.branches(b.Branches, in, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// product enters one; its full name says most, and so is the name.
func (c *csaf) product(n fullName, in product) {
	if in.name = strings.TrimSpace(n.Name); in.name == "" {
		in.name = n.ID
	}
	for _, name := range slices.Sorted(maps.Keys(n.Helper)) {
		if name != "cpe" {
			c.doc.note(Place{Path: "/product_tree"}, "member", "product_identification_helper."+clip(name))
		}
	}
	if in.cpe = stringOf(n.Helper["cpe"]); in.cpe != "" && !cpe23.MatchString(in.cpe) {
		c.doc.note(Place{Path: "/product_tree"}, "csaf-cpe", clip(in.cpe))
		in.cpe = ""
	}
	c.products[n.ID] = in
}

// stringOf decodes a JSON string, "" of anything else.
func stringOf(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(text)
}

// names returns what products are called, each once.
func (c *csaf) names(ids []string) (list []string) {
	seen := map[string]bool{}
	for _, id := range ids {
		name := id
		if p, ok := c.products[id]; ok {
			name = p.name
		}
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}

// grouped returns the products of groups.
func (c *csaf) grouped(groups []string) (ids []string) {
	for _, want := range groups {
		for _, g := range c.a.Tree.Groups {
			if g.ID == want {
				ids = append(ids, g.Products...)
			}
		}
	}
	return ids
}
