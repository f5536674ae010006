package node

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"golang.org/x/crypto/argon2"
)

// Seal says where the key that seals the node's private keys came from.
type Seal string

// The places a sealing key may come from; doctor warns of SealFolder.
const (
	SealFolder     Seal = "folder"     // DIR/secret/seal.key
	SealFile       Seal = "file"       // seal_key_file, 32 bytes
	SealPassphrase Seal = "passphrase" // seal_key_file, a passphrase
	SealCredential Seal = "credential" // systemd credential noroshi-seal
)

// sealKey returns the secret that seals keys and where it lies; make creates
// DIR/secret/seal.key when nothing else is set.
func sealKey(dir string, c Config, make bool) ([]byte, Seal, error) {
	if c.SealKeyFile != "" {
		b, err := os.ReadFile(c.SealKeyFile)
		if err != nil {
			return nil, "", noroshi.Errorf(noroshi.Invalid, "seal.file", "seal_key_file: %w", err)
		}
		if len(b) == 32 {
			return b, SealFile, nil
		}
		return b, SealPassphrase, nil
	}
	if cred := os.Getenv("CREDENTIALS_DIRECTORY"); cred != "" {
		b, err := os.ReadFile(filepath.Join(cred, "noroshi-seal"))
		if err == nil {
			return b, SealCredential, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
	}
	path := sealPath(dir)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && make {
		b = randomBytes(32)
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), durable.Write("seal key", path, b))
	}
	if err != nil {
		return nil, "", noroshi.Errorf(noroshi.NotFound, "seal.gone", "sealing key: %w", err)
	}
	return b, SealFolder, nil
}

// sealPath is where the sealing key lies when nothing else is set.
func sealPath(dir string) string { return filepath.Join(dir, "secret", "seal.key") }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}

// Sealed file: salt (16) ‖ AES-256-GCM with random nonce, additional data the
// purpose. A key of 32 bytes is used as it is, anything else through argon2id.
func sealGCM(secret, salt []byte) (cipher.AEAD, error) {
	key := secret
	if len(secret) != 32 {
		key = argon2.IDKey(secret, salt, 3, 64<<10, 1, 32)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func sealBytes(secret, plain []byte, purpose string) ([]byte, error) {
	salt := randomBytes(16)
	gcm, err := sealGCM(secret, salt)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(salt, nil, plain, []byte(purpose)), nil
}

// readSealed opens a sealed file of the node, nil when there is none.
func readSealed(dir string, c Config, path, purpose string) ([]byte, error) {
	sealed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	secret, _, err := sealKey(dir, c, false)
	if err != nil {
		return nil, err
	}
	return unsealBytes(secret, sealed, purpose)
}

func unsealBytes(secret, sealed []byte, purpose string) ([]byte, error) {
	if len(sealed) < 16 {
		return nil, noroshi.Errorf(noroshi.Broken, "seal.short", "the file of sealed keys is cut off")
	}
	gcm, err := sealGCM(secret, sealed[:16])
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nil, sealed[16:], []byte(purpose))
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Forbidden, "seal.wrong-key", "the sealing key does not open the node's keys: check seal_key_file or the credential")
	}
	return plain, nil
}
