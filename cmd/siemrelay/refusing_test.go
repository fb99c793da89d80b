package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
)

// ServeRefusing is serve with file outputs that don't take everything, which a file
// never does by itself. The files in dir say what the output NAME takes, and may come
// and go:
//
//	NAME.refuse  an event that contains the text of this file is refused for good
//	NAME.hold    nothing is taken, and each event is to be tried again
func ServeRefusing(ctx context.Context, path, dir string) error {
	cfg, _, err := loadConfig(path, configOptions())
	if err != nil {
		return err
	}
	p := newProcess(newLogger(os.Stderr, cfg.Log))
	p.newOutput = func(c config.Output, o outputOptions) (outputs.Output, error) {
		out, err := openOutput(c, o)
		return &refusing{out, filepath.Join(dir, c.Name)}, err
	}
	if err := p.start(cfg, os.Stdout); err != nil {
		return errors.Join(err, p.stop())
	}
	p.log.Info("receiving webhooks", "address", p.receiverAddr, "admin", p.adminAddr)
	return p.untilDone(ctx)
}

type refusing struct {
	outputs.Output
	files string // path and name of the files that say what is taken
}

func (r *refusing) Send(ctx context.Context, batch []outputs.Message) error {
	if _, err := os.Stat(r.files + ".hold"); err == nil {
		return &outputs.Transient{Err: errors.New("it is held")}
	}
	bad, err := os.ReadFile(r.files + ".refuse")
	if err != nil { // nothing is refused
		return r.Output.Send(ctx, batch)
	}
	partial := &outputs.Partial{Results: make([]outputs.Result, len(batch))}
	var good []outputs.Message
	for i, m := range batch {
		if bytes.Contains(m.Body, bad) {
			partial.Results[i] = outputs.Result{Status: outputs.Refused, Err: errors.New("mapper_parsing_exception: it contains " + string(bad))}
		} else {
			good = append(good, m)
		}
	}
	if len(good) > 0 {
		if err := r.Output.Send(ctx, good); err != nil {
			return err
		}
	}
	if len(good) == len(batch) {
		return nil
	}
	return partial
}
