package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/login"
)

const (
	// sessionIdle ends a session that nobody uses, sessionAge any.
	sessionIdle = 12 * time.Hour
	sessionAge  = 7 * 24 * time.Hour
	// maxSessions bounds their memory: a further login ends the one that was used
	// longest ago.
	maxSessions = 1000
)

// sessions are who is logged in. They are in memory only, so that a restart ends all,
// and by the hash of their token, so that a look at the memory opens none.
type sessions struct {
	now  func() time.Time // the wall clock
	most int

	mu    sync.Mutex
	byKey map[[sha256.Size]byte]*session
}

// session is one login. Its match says of whom, and whether the password still holds.
type session struct {
	match       login.Match
	begun, used time.Time
	// ended is done when the session is; end makes it so.
	ended context.Context
	end   context.CancelFunc
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, most: maxSessions, byKey: map[[sha256.Size]byte]*session{}}
}

// begin makes a session and returns its token.
func (s *sessions) begin(m login.Match) string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // it never fails (crypto/rand)
	token := base64.RawURLEncoding.EncodeToString(random[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	now := s.now()
	n := &session{match: m, begun: now, used: now}
	n.ended, n.end = context.WithCancel(context.Background())
	s.byKey[sha256.Sum256([]byte(token))] = n
	return token
}

// makeRoom ends what is over, and one session more where there is no room. The caller
// holds s.mu.
func (s *sessions) makeRoom() {
	if len(s.byKey) < s.most {
		return
	}
	var oldest [sha256.Size]byte
	var used time.Time
	now := s.now()
	for key, n := range s.byKey {
		switch {
		case n.over(now):
			s.remove(key)
		case used.IsZero() || n.used.Before(used):
			oldest, used = key, n.used
		}
	}
	if len(s.byKey) >= s.most {
		s.remove(oldest)
	}
}

// remove ends a session. The caller holds s.mu.
func (s *sessions) remove(key [sha256.Size]byte) {
	if n := s.byKey[key]; n != nil {
		n.end()
		delete(s.byKey, key)
	}
}

// over tells whether the session's time is up. A clock that was set back does not make
// it longer than it would be.
func (n *session) over(now time.Time) bool {
	return now.Sub(n.used).Abs() >= sessionIdle || now.Sub(n.begun).Abs() >= sessionAge
}

// find returns the session of a token, nil if there is none, and notes its use.
func (s *sessions) find(token string) *session {
	key := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byKey[key]
	if n == nil {
		return nil
	}
	now := s.now()
	if n.over(now) {
		s.remove(key)
		return nil
	}
	n.used = now
	return n
}

// finish ends the session of a token, if there is one.
func (s *sessions) finish(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(sha256.Sum256([]byte(token)))
}

// finishAll ends every session.
func (s *sessions) finishAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.byKey {
		s.remove(key)
	}
}
