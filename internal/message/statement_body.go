package message

type wireState struct {
	_         struct{} `cbor:",toarray"`
	Run       [8]byte
	Out       wireOut
	In        []wireIn
	Cited     wireCitation
	Keys      [2]wireKeyVersion
	Challenge [8]byte
	Echo      [8]byte
}

type wireOut struct {
	_       struct{} `cbor:",toarray"`
	Parents [][16]byte
	Head    uint64
	Chain   [16]byte
}

type wireIn struct {
	_        struct{} `cbor:",toarray"`
	Epoch    [16]byte
	Cum      uint64
	ChainCum [16]byte
	Ranges   []wireRange
	Open     []uint64
}

type wireRange struct {
	_    struct{} `cbor:",toarray"`
	A, B uint64
}

type wireCitation struct {
	_       struct{} `cbor:",toarray"`
	Epoch   [16]byte
	Counter uint64
}

type wireKeyVersion struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Hash    [8]byte
}

// EncodeState makes the body of a STATE.
func EncodeState(s State) []byte {
	w := wireState{Run: s.Run, Challenge: s.Challenge, Echo: s.Echo,
		Out:   wireOut{Head: s.Out.Head, Chain: s.Out.Chain},
		Cited: wireCitation{Epoch: s.Cited.Epoch, Counter: s.Cited.Counter}}
	for _, p := range s.Out.Parents {
		w.Out.Parents = append(w.Out.Parents, p)
	}
	for _, in := range s.In {
		x := wireIn{Epoch: in.Epoch, Cum: in.Cum, ChainCum: in.ChainCum, Open: in.Open}
		for _, r := range in.Ranges {
			x.Ranges = append(x.Ranges, wireRange{A: r.A, B: r.B})
		}
		w.In = append(w.In, x)
	}
	for i, k := range s.Keys {
		w.Keys[i] = wireKeyVersion{Version: k.Version, Hash: k.Hash}
	}
	return encode(w)
}

// DecodeState reads the body of a STATE: at most 16 epochs, 256 ranges and 256
// open sequences each; ranges rise, lie above cum and do not touch.
func DecodeState(b []byte) (State, error) {
	var w wireState
	if err := decode("state", b, &w); err != nil {
		return State{}, err
	}
	s := State{Run: w.Run, Challenge: w.Challenge, Echo: w.Echo,
		Out:   OutHead{Head: w.Out.Head, Chain: w.Out.Chain},
		Cited: Citation{Epoch: w.Cited.Epoch, Counter: w.Cited.Counter}}
	if err := sized("state parents", len(w.Out.Parents), 0, maxParents); err != nil {
		return State{}, err
	}
	for _, p := range w.Out.Parents {
		s.Out.Parents = append(s.Out.Parents, p)
	}
	if err := sized("state epochs", len(w.In), 0, maxEpochs); err != nil {
		return State{}, err
	}
	seen := map[Epoch]bool{}
	for _, x := range w.In {
		in, err := x.set()
		if err != nil {
			return State{}, err
		}
		if seen[in.Epoch] {
			return State{}, malformed("state", "an epoch stands twice")
		}
		seen[in.Epoch] = true
		s.In = append(s.In, in)
	}
	for i, k := range w.Keys {
		s.Keys[i] = KeyVersion{Version: k.Version, Hash: k.Hash}
	}
	return s, nil
}

func (x wireIn) set() (InSet, error) {
	in := InSet{Epoch: x.Epoch, Cum: x.Cum, ChainCum: x.ChainCum}
	if err := sized("state ranges", len(x.Ranges), 0, maxRanges); err != nil {
		return in, err
	}
	if err := sized("state open sequences", len(x.Open), 0, maxRanges); err != nil {
		return in, err
	}
	last := x.Cum
	for _, r := range x.Ranges {
		// A run that touches the one before, or cum, would be part of it.
		if r.A > r.B || r.A < 2 || r.A-2 < last {
			return in, malformed("state", "ranges must rise, lie above cum and not touch")
		}
		last = r.B
		in.Ranges = append(in.Ranges, Range{A: r.A, B: r.B})
	}
	for i, o := range x.Open {
		if o == 0 || i > 0 && o <= x.Open[i-1] {
			return in, malformed("state", "open sequences must rise")
		}
		in.Open = append(in.Open, o)
	}
	return in, nil
}

type wireWant struct {
	_      struct{} `cbor:",toarray"`
	Reason uint8
	Runs   []wireRun
}

type wireRun struct {
	_     struct{} `cbor:",toarray"`
	Epoch [16]byte
	A, B  uint64
}

// EncodeWant makes the body of a WANT.
func EncodeWant(v Want) []byte {
	w := wireWant{Reason: v.Reason}
	for _, r := range v.Runs {
		w.Runs = append(w.Runs, wireRun{Epoch: r.Epoch, A: r.Range.A, B: r.Range.B})
	}
	return encode(w)
}

// DecodeWant reads the body of a WANT: at most 256 runs.
func DecodeWant(b []byte) (Want, error) {
	var w wireWant
	if err := decode("want", b, &w); err != nil {
		return Want{}, err
	}
	if err := sized("want", len(w.Runs), 0, maxRanges); err != nil {
		return Want{}, err
	}
	if w.Reason < 1 || w.Reason > 4 {
		return Want{}, malformed("want", "reason is out of range")
	}
	v := Want{Reason: w.Reason}
	for _, r := range w.Runs {
		if r.A == 0 || r.A > r.B {
			return Want{}, malformed("want", "a run must rise")
		}
		v.Runs = append(v.Runs, EpochRange{Epoch: r.Epoch, Range: Range{A: r.A, B: r.B}})
	}
	return v, nil
}

type wireRefuse struct {
	_    struct{} `cbor:",toarray"`
	Code uint8
}

// EncodeRefuse makes the body of a REFUSE.
func EncodeRefuse(r Refuse) []byte { return encode(wireRefuse{Code: r.Code}) }

// DecodeRefuse reads the body of a REFUSE.
func DecodeRefuse(b []byte) (Refuse, error) {
	var w wireRefuse
	if err := decode("refuse", b, &w); err != nil {
		return Refuse{}, err
	}
	if w.Code < 1 || w.Code > 5 {
		return Refuse{}, malformed("refuse", "code is out of range")
	}
	return Refuse{Code: w.Code}, nil
}
