package message

// Keyring holds a node's private keys in one realm: root, next root, release,
// control, KEM and TLS keys. It is plain in memory; node seals it at rest.
type Keyring struct{}
