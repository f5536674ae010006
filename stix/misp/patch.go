package misp

import (
	"iter"
	"strings"
)

// patch is a difference between two objects.
type patch struct {
	members map[string]change
	objects map[string]*patch
	lists   map[string][]item
}

// change is a member: nil where it is absent.
type change struct{ was, is any }

// item is an element of a list.
type item struct {
	key   string
	patch *patch // of what was made
	add   any    // what was not made
	drop  bool   // was made, and did not stand in the event
}

// keyed are the lists whose elements are known again one by one, and by what.
var keyed = map[string]string{"Attribute": "uuid", "Object": "uuid", "ObjectReference": "uuid", "EventReport": "uuid", "Tag": "name"}

// second is what an element is known by that has another uuid in the event, or
// none.
func second(list string, t tree) string {
	switch list {
	case "Attribute":
		return t.text("object_relation") + "\x00" + t.text("type") + "\x00" + t.text("value")
	case "ObjectReference":
		return t.text("relationship_type") + "\x00" + t.text("referenced_uuid")
	}
	return t.text("name")
}

// diff returns what makes b out of a.
func diff(a, b tree) *patch {
	p := &patch{}
	for name := range either(a, b) {
		av, bv := a[name], b[name]
		at, aTree := av.(tree)
		bt, bTree := bv.(tree)
		bl, bList := bv.([]any)
		al, aList := av.([]any)
		switch {
		case keyed[name] != "" && bList && (aList || av == nil):
			put(&p.lists, name, diffList(name, al, bl))
		case aTree && bTree:
			if q := diff(at, bt); !q.empty() {
				put(&p.objects, name, q)
			}
		case av == nil || bv == nil || !equal(av, bv):
			put(&p.members, name, change{av, bv})
		}
	}
	return p
}

// put puts an entry into a map that is made with its first.
func put[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
}

// either yields the names of the members of a or b.
func either(a, b tree) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range a {
			if !yield(name) {
				return
			}
		}
		for name := range b {
			if _, both := a[name]; !both && !yield(name) {
				return
			}
		}
	}
}

func (p *patch) empty() bool { return len(p.members)+len(p.objects)+len(p.lists) == 0 }

func diffList(name string, a, b []any) []item {
	byKey, bySecond := map[string]int{}, map[string][]int{}
	for i, v := range a {
		t := v.(tree) // made here
		byKey[strings.ToLower(t.text(keyed[name]))] = i
		bySecond[second(name, t)] = append(bySecond[second(name, t)], i)
	}
	used := make([]bool, len(a))
	find := func(t tree) (int, bool) {
		if i, ok := byKey[strings.ToLower(t.text(keyed[name]))]; ok && !used[i] {
			return i, true
		}
		if name == "Tag" {
			return 0, false
		}
		for _, i := range bySecond[second(name, t)] {
			if !used[i] {
				return i, true
			}
		}
		return 0, false
	}
	items := []item{}
	for _, v := range b {
		t, isTree := v.(tree)
		i, found := 0, false
		if isTree {
			i, found = find(t)
		}
		if !found {
			items = append(items, item{add: v})
			continue
		}
		used[i] = true
		made := a[i].(tree)
		items = append(items, item{key: made.text(keyed[name]), patch: diff(made, t)})
	}
	for i, v := range a {
		if !used[i] {
			items = append(items, item{key: v.(tree).text(keyed[name]), drop: true})
		}
	}
	return items
}

// apply changes what Write made into what stood in the event, where what it
// made is still the same. adds says whether what was never made is put back too.
func (p *patch) apply(t tree, adds bool) {
	for name, c := range p.members {
		now := t[name]
		if (now == nil) != (c.was == nil) || now != nil && !equal(now, c.was) {
			continue
		}
		switch {
		case c.is == nil:
			delete(t, name)
		case adds || c.was != nil:
			t[name] = c.is
		}
	}
	for name, q := range p.objects {
		if o := t.object(name); o != nil {
			q.apply(o, true)
		}
	}
	for name, items := range p.lists {
		t[name] = applyList(name, t.list(name), items, adds)
	}
}

func applyList(name string, now []any, items []item, adds bool) []any {
	byKey := map[string]int{}
	for i, v := range now {
		if t, ok := v.(tree); ok {
			byKey[t.text(keyed[name])] = i
		}
	}
	used := make([]bool, len(now))
	out := []any{}
	for _, it := range items {
		i, found := byKey[it.key]
		switch {
		case it.patch == nil && !it.drop:
			if adds {
				out = append(out, it.add)
			}
		case !found || used[i]:
		case it.drop:
			used[i] = true
		default:
			used[i] = true
			it.patch.apply(now[i].(tree), true)
			out = append(out, now[i])
		}
	}
	for i, v := range now {
		if !used[i] {
			out = append(out, v)
		}
	}
	return out
}

// appendTo writes a patch as JSON.
func (p *patch) appendTo(b []byte) []byte {
	b = append(b, '{')
	b = appendMembers(b, "l", p.lists, func(b []byte, items []item) []byte {
		b = append(b, '[')
		for i, it := range items {
			if i > 0 {
				b = append(b, ',')
			}
			b = it.appendTo(b)
		}
		return append(b, ']')
	})
	b = appendMembers(b, "m", p.members, func(b []byte, c change) []byte {
		t := tree{}
		if c.was != nil {
			t["was"] = c.was
		}
		if c.is != nil {
			t["is"] = c.is
		}
		return encode(b, t)
	})
	b = appendMembers(b, "o", p.objects, func(b []byte, q *patch) []byte { return q.appendTo(b) })
	return append(b, '}')
}

// appendMembers writes a member that is an object of what is in m, nothing when
// that is empty.
func appendMembers[V any](b []byte, member string, m map[string]V, write func([]byte, V) []byte) []byte {
	if len(m) == 0 {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, member...)
	b = append(b, '"', ':', '{')
	for i, name := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, text(name)...), ':')
		b = write(b, m[name])
	}
	return append(b, '}')
}

func (it item) appendTo(b []byte) []byte {
	switch {
	case it.drop:
		return encode(b, tree{"key": text(it.key), "drop": boolean(true)})
	case it.patch != nil:
		b = append(append(b, `{"key":`...), text(it.key)...)
		return append(it.patch.appendTo(append(b, `,"p":`...)), '}')
	}
	return encode(b, tree{"add": it.add})
}

// readPatch reads what patch.tree wrote.
func readPatch(t tree) (*patch, error) {
	p := &patch{}
	for name, v := range t.object("m") {
		c, ok := v.(tree)
		if !ok {
			return nil, errRest
		}
		put(&p.members, name, change{c["was"], c["is"]})
	}
	for name, v := range t.object("o") {
		o, ok := v.(tree)
		if !ok {
			return nil, errRest
		}
		q, err := readPatch(o)
		if err != nil {
			return nil, err
		}
		put(&p.objects, name, q)
	}
	for name, v := range t.object("l") {
		list, ok := v.([]any)
		if !ok || keyed[name] == "" {
			return nil, errRest
		}
		items := make([]item, 0, len(list))
		for _, e := range list {
			it, err := readItem(e)
			if err != nil {
				return nil, err
			}
			items = append(items, it)
		}
		put(&p.lists, name, items)
	}
	return p, nil
}

func readItem(v any) (it item, err error) {
	t, ok := v.(tree)
	if !ok {
		return it, errRest
	}
	it.key, it.add = t.text("key"), t["add"]
	if it.drop, ok = t.flag("drop"); !ok {
		return it, errRest
	}
	if q := t.object("p"); q != nil {
		it.patch, err = readPatch(q)
	} else if it.add == nil && !it.drop {
		err = errRest
	}
	return it, err
}
