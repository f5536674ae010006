package web

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// BackupOrder asks for a backup of the realm. A passphrase stays with the person
// who typed it: the node gets the key that was derived from it for this file.
// Without How it is sealed under the node's own sealing key, where that does not
// lie in the folder.
type BackupOrder struct {
	File string `json:"file"` // absolute; nothing may be there
	How  string `json:"how,omitempty"`
	Salt []byte `json:"salt,omitempty"`
	Key  []byte `json:"key,omitempty"`
}

// BackedUp says what a backup holds.
type BackedUp struct {
	File     string           `json:"file"`
	CallSign noroshi.CallSign `json:"call_sign"`
	Node     noroshi.NodeID   `json:"node"`
	Realm    noroshi.Realm    `json:"realm"`
	Made     time.Time        `json:"made"`
	Acts     uint64           `json:"acts"`
	Bytes    int64            `json:"bytes"`
	SHA256   noroshi.Hash     `json:"sha256"` // of the file
	Sealed   string           `json:"sealed"` // "passphrase", "key"
}

func backup(ctx context.Context, c *Call) (any, error) {
	var in BackupOrder
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return c.Services.Backup(ctx, in)
}
