// Package oauth2auth gives a session's token to whatever takes an oauth2.TokenSource.
package oauth2auth

import (
	"context"

	"golang.org/x/oauth2"

	"outlast.example/go"
)

// TokenSource gives the session's current token each time it is asked, refreshed before if need be. A fresh one comes from
// memory, so there is no need to keep it as oauth2.ReuseTokenSource does: whoever keeps tokens does not hear of one that was
// refused before its end. The context is that of all waiting for a token.
//
// The session is held from now on, so that it stays alive while nobody asks.
func TokenSource(ctx context.Context, session *outlast.Session) oauth2.TokenSource {
	// Fails when the session is closed, which the first call of Token will tell.
	_ = session.Hold()
	return source{ctx, session}
}

type source struct {
	ctx     context.Context
	session *outlast.Session
}

// Token gives the current token. Errors are *outlast.Error.
func (s source) Token() (*oauth2.Token, error) {
	token, err := s.session.Token(s.ctx)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token.Value, TokenType: "Bearer", Expiry: token.ExpiresAt}, nil
}
