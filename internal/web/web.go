// Package web is the JSON API of a node: one table of operations, spoken over
// the socket in the data folder, and called directly by a command that opened
// the folder itself. It decides nothing: every answer comes from a room below.
//
// A request is POST /api/v1/OPERATION. Its body is one line of JSON, the
// operation's input, and after it whatever bytes the operation reads (a file to
// import). The answer is JSON lines: any number of {"progress": …}, then one
// {"result": …} or {"error": {"code", "message", "kind", "args"}}.
package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/noroshi-cti/noroshi"
)

// maxInput bounds an operation's input line.
const maxInput = 1 << 20

// Call is one call of an operation.
type Call struct {
	*Services
	Input    []byte    // one JSON value
	Body     io.Reader // what follows the input
	Progress func(any) // tells the caller how far it is; never nil
}

// Bind decodes the input strictly: unknown fields are errors.
func (c *Call) Bind(v any) error {
	if len(bytes.TrimSpace(c.Input)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(c.Input))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return noroshi.Errorf(noroshi.Invalid, "api.input", "input: %w", err)
	}
	return nil
}

// Op is one operation.
type Op struct {
	Action noroshi.Action // what it does, in the words of the role table
	Signed bool           // a person must sign it
	Run    func(context.Context, *Call) (any, error)
}

// Invoke runs an operation by name; NotFound when there is none. Passkeys that
// signed for it are counted, and that a person's act was refused goes on record.
func Invoke(ctx context.Context, s *Services, name string, input []byte, body io.Reader, progress func(any)) (any, error) {
	op, ok := Ops[name]
	if !ok {
		return nil, noroshi.Errorf(noroshi.NotFound, "api.unknown", "no operation %q", name)
	}
	if body == nil {
		body = bytes.NewReader(nil)
	}
	if progress == nil {
		progress = func(any) {}
	}
	c := &Call{Services: s, Input: input, Body: body, Progress: progress}
	var result any
	err := c.counted(ctx)
	if err == nil {
		result, err = op.Run(ctx, c)
	}
	if err != nil {
		c.refused(ctx, name, op, err)
	}
	return result, err
}

// Problem is an error as the API tells it.
type Problem struct {
	noroshi.Told
	Kind noroshi.Kind `json:"kind"`
}

// line is one line of an answer.
type line struct {
	Progress json.RawMessage `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *Problem        `json:"error,omitempty"`
}

// Handler serves the operations. Whoever reaches it is inside the border: it
// is mounted on the folder's socket only.
func Handler(s *Services) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/{op}", func(w http.ResponseWriter, r *http.Request) { Serve(s, w, r, r.PathValue("op")) })
	return mux
}

// Serve runs one operation for a request and writes its answer. Who may is the
// caller's to say.
func Serve(s *Services, w http.ResponseWriter, r *http.Request, op string) {
	in := bufio.NewReaderSize(r.Body, 64<<10)
	input, err := readLine(in)
	w.Header().Set("Content-Type", "application/jsonl")
	flush := http.NewResponseController(w)
	_ = flush.EnableFullDuplex()
	out := json.NewEncoder(w)
	progress := func(v any) {
		if b, err := json.Marshal(v); err == nil && out.Encode(line{Progress: b}) == nil {
			_ = flush.Flush()
		}
	}
	var result any
	if err == nil {
		result, err = Invoke(r.Context(), s, op, input, in, progress)
	}
	if err != nil {
		w.Header().Set("Connection", "close") // the rest of the body may be unread
	}
	_ = out.Encode(answer(s.Log, op, result, err, callerOf(r.Context()) != ""))
}

// Fail answers a request from outside that runs no operation, as an operation
// that failed does.
func Fail(s *Services, w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Connection", "close")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer(s.Log, "", nil, err, true))
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var all []byte
	for {
		part, err := r.ReadSlice('\n')
		all = append(all, part...)
		switch {
		case len(all) > maxInput:
			return nil, noroshi.Errorf(noroshi.Invalid, "api.input", "input line is over %d bytes", maxInput)
		case err == nil || errors.Is(err, io.EOF):
			return all, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// answer is the last line of an answer. What nobody classified may say anything
// about the machine: outside hears its code alone, and the log has its text.
func answer(log *slog.Logger, op string, result any, err error, outside bool) line {
	if err == nil {
		b, merr := json.Marshal(result)
		if merr == nil {
			return line{Result: b}
		}
		err = merr
	}
	var e *noroshi.Error
	if errors.As(err, &e) {
		return line{Error: &Problem{noroshi.Tell(err), e.Kind}}
	}
	if errors.Is(err, context.Canceled) { // the node stops; who called is there still, or nobody reads this
		return line{Error: &Problem{Told: noroshi.Tell(noroshi.Errorf(noroshi.Other, "api.broken-off", "the node broke off: %w", err))}}
	}
	number := Incident(log, "operation failed", err, "op", op)
	told := noroshi.Told{Code: "internal", Message: err.Error()}
	if outside {
		told = noroshi.Told{Code: "internal.incident", Message: "something unexpected failed: the node's log has it as incident " + number, Args: []string{number}}
	}
	return line{Error: &Problem{told, noroshi.Other}}
}
