package message

// LinkBody is the content of a LINK: the secrets of one direction of a link,
// made by its sender.
type LinkBody struct {
	Gate [32]byte // of the gate of envelopes
	Line [32]byte // first secret of the day chain, for narrow lines and fragments
	Day  uint32   // whole days since 1970 UTC that Line is of
}

type wireLink struct {
	_    struct{} `cbor:",toarray"`
	Gate [32]byte
	Line [32]byte
	Day  uint32
}

// EncodeLink makes the content of a LINK.
func EncodeLink(l LinkBody) []byte { return encode(wireLink{Gate: l.Gate, Line: l.Line, Day: l.Day}) }

// DecodeLink reads the content of a LINK. Secrets of zeros are refused: nobody
// drew them.
func DecodeLink(b []byte) (LinkBody, error) {
	var w wireLink
	if err := decode("link", b, &w); err != nil {
		return LinkBody{}, err
	}
	if w.Gate == [32]byte{} || w.Line == [32]byte{} || w.Day > lastSecond/secondsPerDay {
		return LinkBody{}, malformed("link", "a secret is zero or the day is out of range")
	}
	return LinkBody{Gate: w.Gate, Line: w.Line, Day: w.Day}, nil
}

const secondsPerDay = 24 * 60 * 60
