package detect

// Merge merges the delta into the table, small as it may be.
func Merge(x *Index) {
	StartMerge(x)
	x.Settle()
}

// StartMerge begins a merge, which goes on in the background.
func StartMerge(x *Index) {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.settle()
	x.startMerge(minDelta)
}

// Scan reads one line and returns the texts looked up as "field=text", and
// those of which an event has one only; code says why a line is refused.
func Scan(line []byte) (many, one []string, code string) {
	var ev event
	var s scanner
	if !s.line(line, &ev) {
		return nil, nil, s.code
	}
	for _, o := range ev.seen {
		many = append(many, o.rule.field+"="+string(o.text))
	}
	for _, e := range ev.ends {
		if e.addr != nil {
			one = append(one, e.addr.field+"="+string(e.text))
		}
	}
	for _, o := range []observation{ev.host, ev.uri} {
		if o.rule != nil {
			one = append(one, o.rule.field+"="+string(o.text))
		}
	}
	return many, one, ""
}

// Wanted is a schema as names: a field, or what is in an object.
type Wanted struct {
	Field string
	Many  bool // of one event there may be several
	Text  bool // looked up
	Sub   map[string]Wanted
}

// Schema returns what is looked for in a line.
func Schema() map[string]Wanted { return wanted(topSchema) }

func wanted(sc *schema) map[string]Wanted {
	if sc == nil {
		return nil
	}
	m := map[string]Wanted{}
	for _, r := range sc.rules {
		w := Wanted{Field: r.field, Sub: wanted(r.sub)}
		switch r.do {
		case doName, doAnswer, doMail, doHash, doURL:
			w.Many, w.Text = true, true
		case doAddr, doHost, doURI:
			w.Text = true
		}
		m[r.name] = w
	}
	return m
}

// ParseAddr reads an address as lines hold it.
func ParseAddr(s string) (string, bool) {
	a, ok := address([]byte(s))
	return a.String(), ok
}

// Dotted reports whether a text is looked up as an IPv4 address.
func Dotted(s string) bool {
	_, ok := dottedOf([]byte(s))
	return ok
}

// Stepper returns a function that reads and matches one line.
func Stepper(x *Index) func([]byte) int64 {
	r := &run{m: matcher{x: x}, hit: func(Hit) error { return nil }}
	return func(line []byte) int64 {
		if err := r.one(line); err != nil {
			panic(err)
		}
		return r.rep.Hits
	}
}

// Decoder returns a function that reads one line and looks nothing up.
func Decoder() func([]byte) bool {
	var ev event
	var s scanner
	return func(line []byte) bool {
		ev.reset()
		ok := s.line(line, &ev)
		ev.finish()
		return ok
	}
}
