package https

import "crypto/tls"

// Certificate returns the certificate the sender shows.
func (s *Sender) Certificate() tls.Certificate { return s.cert }
