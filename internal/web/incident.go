package web

import (
	"crypto/rand"
	"log/slog"
	"strings"
)

// Incident logs an error that nobody classified, which may say anything about the
// machine, and returns the number under which it stands in the log: all that
// outside is told of it.
func Incident(log *slog.Logger, msg string, err error, attrs ...any) (number string) {
	number = rand.Text()[:8]
	attrs = append([]any{"incident", number}, attrs...)
	log.Error(msg, append(attrs, "err", strings.ReplaceAll(err.Error(), "\n", " "))...)
	return number
}
