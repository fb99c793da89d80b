package receiver

import (
	"log/slog"

	"golang.org/x/sys/unix"
)

// reservedFiles is how many of the files that the process may open are not for
// connections, but at most half of them: a spool that can't open its next segment
// refuses every webhook, and an output that can't connect delivers none.
const reservedFiles = 256

// withinFiles is the most connections that there may be, at most so many, so that they
// leave files to the rest of the process. The limit is RLIMIT_NOFILE, getrlimit(2), as
// it is now: Go's runtime has raised it as far as it may.
func withinFiles(connections int, logger *slog.Logger) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return connections
	}
	allowed := shareOf(limit.Cur, connections)
	if allowed < connections {
		logger.Warn("fewer connections than max_connections: the limit of open files is too low",
			"max_connections", connections, "used", allowed, "open_files", limit.Cur)
	}
	return allowed
}

// shareOf is how many of so many files are for connections.
func shareOf(files uint64, connections int) int {
	left := files - min(files/2, reservedFiles)
	return int(min(max(left, 1), uint64(connections)))
}
