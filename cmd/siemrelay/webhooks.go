package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// eachWebhook calls take for every webhook body in the files, in order: a file
// holds one JSON object, an array of them, or any number of them one after the
// other (NDJSON); "-" is in. The body is as it stands in the file, byte for byte,
// and the caller's to keep. place says where it is, for messages.
func eachWebhook(files []string, in io.Reader, take func(place string, body []byte) error) error {
	for _, name := range files {
		if err := eachInFile(name, in, take); err != nil {
			return err
		}
	}
	return nil
}

func eachInFile(name string, in io.Reader, take func(string, []byte) error) error {
	if name == "-" {
		return eachInStream("standard input", in, take)
	}
	f, err := os.Open(name) //nolint:gosec // who runs the command names the file
	if err != nil {
		return fmt.Errorf("read webhooks: %w", err)
	}
	defer f.Close()
	return eachInStream(name, f, take)
}

func eachInStream(name string, r io.Reader, take func(string, []byte) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	if bom, err := br.Peek(3); err == nil && string(bom) == "\xef\xbb\xbf" {
		_, _ = br.Discard(len(bom)) // it is in the buffer
	}
	d := json.NewDecoder(br)
	for n := 1; ; n++ {
		place := fmt.Sprintf("%s, webhook %d", name, n)
		var body json.RawMessage
		err := d.Decode(&body)
		switch {
		case errors.Is(err, io.EOF) && n == 1:
			return fmt.Errorf("read %s: there is no webhook in it", name)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: after %d bytes: %w", place, d.InputOffset(), err)
		}
		if n == 1 && bytes.HasPrefix(body, []byte("[")) {
			return eachInArray(name, body, d, take)
		}
		if err := take(place, body); err != nil {
			return err
		}
	}
}

// eachInArray takes the elements of a file that is one array.
func eachInArray(name string, array []byte, rest *json.Decoder, take func(string, []byte) error) error {
	var bodies []json.RawMessage
	if err := json.Unmarshal(array, &bodies); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for i, body := range bodies {
		if err := take(fmt.Sprintf("%s, webhook %d", name, i+1), body); err != nil {
			return err
		}
	}
	if err := rest.Decode(new(json.RawMessage)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: there is something after the array", name)
	}
	return nil
}

// isObject tells whether a JSON text is an object, which the door asks for.
func isObject(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) }
