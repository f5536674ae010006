package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// curl is what stories have for curl, which is not on every machine: as much of
// it as the pages use. A flag that it does not know, or an answer that is an
// error, ends it with an error.
func curl() {
	if err := fetch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		os.Exit(1)
	}
}

type headers []string

func (h *headers) String() string     { return strings.Join(*h, "; ") }
func (h *headers) Set(s string) error { *h = append(*h, s); return nil }

func fetch(args []string) error {
	var head headers
	f := flag.NewFlagSet("curl", flag.ContinueOnError)
	f.Bool("sS", false, "")
	f.Bool("g", false, "")
	blind := f.Bool("k", false, "")
	ca, pin, user, data := f.String("cacert", "", ""), f.String("pinnedpubkey", "", ""), f.String("u", "", ""), f.String("data-binary", "", "")
	out := f.String("o", "", "")
	f.Var(&head, "H", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	conf, err := trust(*ca, *pin, *blind)
	if err != nil {
		return err
	}
	method, body := http.MethodGet, io.Reader(nil)
	if name, ok := strings.CutPrefix(*data, "@"); ok {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		method, body = http.MethodPost, bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, f.Arg(0), body)
	if err != nil {
		return err
	}
	if name, pass, ok := strings.Cut(*user, ":"); ok {
		req.SetBasicAuth(name, pass)
	}
	for _, h := range head {
		key, value, _ := strings.Cut(h, ":")
		req.Header.Set(key, strings.TrimSpace(value))
	}
	return answer(&http.Client{Transport: &http.Transport{TLSClientConfig: conf}}, req, *out)
}

// trust is what a server must show: a certificate the file vouches for, a key
// that has the pin, or both.
func trust(ca, pin string, blind bool) (*tls.Config, error) {
	conf := &tls.Config{InsecureSkipVerify: blind}
	if ca != "" {
		b, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s has no certificate", ca)
		}
	}
	if pin != "" {
		conf.VerifyConnection = func(cs tls.ConnectionState) error {
			sum := sha256.Sum256(cs.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if pin != "sha256//"+base64.StdEncoding.EncodeToString(sum[:]) {
				return fmt.Errorf("the key has not the pin %s", pin)
			}
			return nil
		}
	}
	return conf, nil
}

func answer(c *http.Client, req *http.Request, out string) error {
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 400 {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	if err != nil {
		return err
	}
	if out != "" {
		return os.WriteFile(out, b, 0o600)
	}
	_, err = fmt.Println(string(b))
	return err
}
