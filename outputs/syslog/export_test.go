package syslog

import "github.com/siemrelay/siemrelay/outputs"

// Framed returns m as the output of c writes it.
func Framed(c Config, o Options, m outputs.Message) []byte {
	t, problem := parseAddress(c.Address)
	if problem != "" {
		panic(problem)
	}
	return newEncoder(c, t, o).append(nil, &m)
}
