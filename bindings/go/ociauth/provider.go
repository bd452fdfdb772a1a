package ociauth

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/oracle/oci-go-sdk/v65/common"

	"outlast.example/go"
)

// ConfigurationProvider gives the SDK the session's credential of the moment each time it asks. Facts that are no credential
// (tenancy, user, fingerprint, region) come from another provider, usually that of the same profile. The session is held from
// now on.
//
// Token and key never leave the session: the SDK is handed a crypto.Signer. A provider never hears of a 401: see [Attach].
func ConfigurationProvider(session *outlast.Session, facts common.ConfigurationProvider) common.ConfigurationProvider {
	// Fails when the session is closed, which the first request will tell.
	_ = session.Hold()
	return provider{session, facts}
}

type provider struct {
	session *outlast.Session
	facts   common.ConfigurationProvider
}

// KeyID names the credential as the service wants it.
func (p provider) KeyID() (string, error) {
	token, err := p.session.Token(context.Background())
	if err != nil {
		return "", err
	}
	// The id of an API key is a path; a JWT has no slash.
	if strings.Contains(token.Value, "/") {
		return token.Value, nil
	}
	return "ST$" + token.Value, nil
}

// PrivateRSAKey fails: the SDK asks for PrivateKeySigner then.
func (p provider) PrivateRSAKey() (*rsa.PrivateKey, error) {
	return nil, errors.New("the session's key stays with the session, which signs by PrivateKeySigner")
}

// PrivateKeySigner signs with the session's key.
func (p provider) PrivateKeySigner() (crypto.Signer, error) { return keySigner(p), nil }

// Refreshable tells the SDK that asking again after a 401 may help.
func (p provider) Refreshable() bool { return true }

func (p provider) TenancyOCID() (string, error)    { return p.facts.TenancyOCID() }
func (p provider) UserOCID() (string, error)       { return p.facts.UserOCID() }
func (p provider) KeyFingerprint() (string, error) { return p.facts.KeyFingerprint() }
func (p provider) Region() (string, error)         { return p.facts.Region() }

// AuthType is one that the SDK does not replace by a provider of its own.
func (p provider) AuthType() (common.AuthConfig, error) {
	return common.AuthConfig{AuthType: common.UnknownAuthenticationType}, nil
}

// String keeps what is printed free of anything that the facts' provider might print.
func (p provider) String() string { return "configuration provided by an outlast session" }

type keySigner provider

// Public is nil: the SDK does not ask for it.
func (k keySigner) Public() crypto.PublicKey { return nil }

// Sign signs a SHA-256 digest with PKCS#1 v1.5.
func (k keySigner) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if _, pss := options.(*rsa.PSSOptions); pss || options.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return nil, fmt.Errorf("a session signs SHA-256 digests with PKCS#1 v1.5, not %v with %T", options.HashFunc(), options)
	}
	signature, _, err := k.session.SignDigest(context.Background(), [sha256.Size]byte(digest))
	return signature, err
}
