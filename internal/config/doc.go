// Package config reads siemrelay's configuration file.
//
// It guarantees that Load either returns a configuration that is complete and
// consistent, or every mistake at once, each with file, line, column, the path
// of its key, what is wrong and what is allowed; and that no mistake ever shows
// a secret, nor any text that came out of ${env:…} or ${file:…}. It refuses to
// know what an output does with its settings, and it starts nothing: reading
// the files that the configuration names is the only thing it does.
//
// # The structs are the configuration
//
// A key exists because a struct field has a yaml tag; nothing else lists it.
// The tags of a field are:
//
//	yaml:"max_size"              the key; a field without it is no key
//	doc:"One sentence or more."  its meaning, for docs/configuration.md
//	required:"a file's path"     it may be neither missing nor empty; the text
//	                             says what to give
//	min:"1KiB" max:"64MiB"       the limits of a size, a duration or a number,
//	                             both inclusive; without min it is 0
//	oneof:"now,oldest"           the texts that are allowed
//	hide:"true"                  messages don't repeat the value: for what may
//	                             hold a secret by mistake, such as a URL
//	multiline:"true"             a text that may have several lines
//
// A field is a string, bool, int, Size, time.Duration, netip.Prefix or Secret,
// a struct, a slice of any of these, or a map of string to a struct. The keys of
// a map are taken as they are written, so that 0123 stays what it is; messages
// and paths put them in brackets: companies[0123].name. A string never holds a
// control character, except line breaks and tabs where it is multiline. A Secret named "password" also gives the key "password_file", and
// a configuration holds at most one of the two; required then asks for one. A
// list that is given replaces its default. A struct that is the element of a
// list or map gets its defaults from its method SetDefaults(), if it has one. A struct
// with the method SetWritten() has it called, before its keys are read, where it
// stands in the file, even as {}.
//
// # Settings of an output
//
// The settings of an output live in a struct of the output's own package, which
// needs this package only for Size and Secret. For each output, Load calls
// OutputType.Settings for a pointer to that struct, filled with its defaults,
// and sets what the file gives. When the struct has the method
//
//	func (s *Settings) Validate(report func(key, format string, args ...any))
//
// it is called afterwards, to check what the tags can't say. Each call of
// report is one mistake. The key is the one of the yaml tag, "tls.ca_file" or
// "urls[2]" for one further down, and Load finds its line and column. The text
// is the rest of a sentence that begins with the value, which Load writes, or
// hides where it is a secret or came out of an expansion, so the text must not
// repeat it:
//
//	if s.Path != "-" && strings.HasSuffix(s.Path, "/") {
//		report("path", "is a directory; name a file in it")
//	}
//
// gives
//
//	siemrelay.yaml:31:13: outputs[2].file.path: "/var/log/" is a directory; name a file in it
//
// A report on a key that is already reported as wrong is left out. Validate
// must not open, dial or change anything.
//
// With the method
//
//	func (s *Settings) DefaultBatch() (maxEvents int, maxBytes Size)
//
// it has a say in the batch: what isn't 0 takes the place of the usual default where the
// file gives no such limit.
package config
