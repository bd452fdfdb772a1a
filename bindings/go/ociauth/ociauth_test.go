package ociauth_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/objectstorage"
	"github.com/oracle/oci-go-sdk/v65/objectstorage/transfer"

	"outlast.example/go"
	"outlast.example/go/internal/cloudtest"
	"outlast.example/go/ociauth"
)

const mib = cloudtest.MiB

var check = cloudtest.Check

// Someone is a session and the profile it came from.
type someone struct {
	session *outlast.Session
	facts   common.ConfigurationProvider
}

func signIn(t *testing.T, cloud *cloudtest.Cloud, life time.Duration) someone {
	t.Helper()
	login := cloud.SignIn(life)
	session, err := outlast.OpenSession(cloud.Options(login))
	check(t, err)
	t.Cleanup(func() { check(t, session.Close()) })
	return someone{session, common.CustomProfileSessionTokenConfigProvider(login.ConfigFile, login.Profile)}
}

func client(t *testing.T, cloud *cloudtest.Cloud, provider common.ConfigurationProvider) objectstorage.ObjectStorageClient {
	t.Helper()
	made, err := objectstorage.NewObjectStorageClientWithConfigurationProvider(provider)
	check(t, err)
	made.Host = cloud.Endpoint
	return made
}

// send uploads 40 parts with the SDK's own UploadManager, a second apart: it lasts longer than a few tokens.
func send(t *testing.T, cloud *cloudtest.Cloud, client *objectstorage.ObjectStorageClient, name string) ([]byte, error) {
	t.Helper()
	path, data := cloudtest.WriteFile(t, name, 5*mib)
	cloud.Control("settings", map[string]any{"bandwidth_bytes_per_s": mib / 4})
	defer cloud.Control("settings", map[string]any{"bandwidth_bytes_per_s": nil})
	once := common.NoRetryPolicy()
	_, err := transfer.NewUploadManager().UploadFile(t.Context(), transfer.UploadFileRequest{
		UploadRequest: transfer.UploadRequest{
			NamespaceName: &cloud.Namespace, BucketName: &cloud.Bucket, ObjectName: &name,
			PartSize: common.Int64(mib / 2), NumberOfGoroutines: common.Int(2), ObjectStorageClient: client,
			EnableMultipartChecksumVerification: common.Bool(true),
			RequestMetadata:                     common.RequestMetadata{RetryPolicy: &once},
		},
		FilePath: path,
	})
	return data, err
}

func TestTheSDKsUploadManagerOutlivesTokens(t *testing.T) {
	cloud := cloudtest.Start(t)
	for name, make := range map[string]func(someone) objectstorage.ObjectStorageClient{
		"provider": func(who someone) objectstorage.ObjectStorageClient {
			return client(t, cloud, ociauth.ConfigurationProvider(who.session, who.facts))
		},
		"attached": func(who someone) objectstorage.ObjectStorageClient {
			made := client(t, cloud, who.facts)
			ociauth.Attach(&made.BaseClient, who.session)
			return made
		},
	} {
		t.Run(name, func(t *testing.T) {
			who := signIn(t, cloud, 4*time.Second)
			made := make(who)
			data, err := send(t, cloud, &made, name)
			check(t, err)
			status, err := who.session.Status()
			check(t, err)
			if status.Refreshes < 3 || !bytes.Equal(cloud.Stored(name), data) {
				t.Errorf("%d refreshes", status.Refreshes)
			}
		})
	}
}

// The SDK reads a token file anew for each request, but does not refresh it.
func TestItDiesWithoutUs(t *testing.T) {
	cloud := cloudtest.Start(t)
	login := cloud.SignIn(4 * time.Second)
	made := client(t, cloud, common.CustomProfileSessionTokenConfigProvider(login.ConfigFile, login.Profile))
	_, err := send(t, cloud, &made, "never")
	var refused common.ServiceError
	if !errors.As(err, &refused) || refused.GetHTTPStatusCode() != 401 || cloud.Has("never") {
		t.Fatalf("it did not die of its token: %v", err)
	}
}

func TestAttachedClientsAnswerRefusals(t *testing.T) {
	cloud := cloudtest.Start(t)
	who := signIn(t, cloud, time.Hour)
	made := client(t, cloud, who.facts)
	ociauth.Attach(&made.BaseClient, who.session)
	big, small := cloudtest.Random(2*mib), []byte("small")
	put := func(name string, body io.Reader, size int) error {
		_, err := made.PutObject(t.Context(), objectstorage.PutObjectRequest{
			NamespaceName: &cloud.Namespace, BucketName: &cloud.Bucket, ObjectName: &name,
			ContentLength: common.Int64(int64(size)), PutObjectBody: io.NopCloser(body),
		})
		return err
	}
	for name, try := range map[string]struct {
		operation string
		call      func() error
	}{
		"get": {"get_namespace", func() error {
			_, err := made.GetNamespace(t.Context(), objectstorage.GetNamespaceRequest{})
			return err
		}},
		"post":         {"create_upload", func() error { _, err := create(t.Context(), cloud, &made); return err }},
		"small object": {"put_object", func() error { return put("small", bytes.NewReader(small), len(small)) }},
		// Above a megabyte the SDK does not keep the body itself.
		"big object": {"put_object", func() error { return put("big", bytes.NewReader(big), len(big)) }},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := who.session.Token(t.Context())
			check(t, err)
			check(t, who.session.Accept(token.Generation))
			time.Sleep(1100 * time.Millisecond)
			cloud.Refuse(try.operation, 1)
			check(t, try.call())
			status, err := who.session.Status()
			check(t, err)
			if status.Generation != token.Generation+1 {
				t.Errorf("generation %d follows %d", status.Generation, token.Generation)
			}
		})
	}
	if !bytes.Equal(cloud.Stored("big"), big) || !bytes.Equal(cloud.Stored("small"), small) {
		t.Error("the bytes stored are not those sent")
	}
	// What cannot be had again is not sent again.
	cloud.Refuse("put_object", 1)
	err := put("stream", struct{ io.Reader }{bytes.NewReader(big)}, len(big))
	var refused common.ServiceError
	if !errors.As(err, &refused) || refused.GetHTTPStatusCode() != 401 {
		t.Errorf("%v", err)
	}
}

func create(ctx context.Context, cloud *cloudtest.Cloud, client *objectstorage.ObjectStorageClient) (objectstorage.CreateMultipartUploadResponse, error) {
	return client.CreateMultipartUpload(ctx, objectstorage.CreateMultipartUploadRequest{
		NamespaceName: &cloud.Namespace, BucketName: &cloud.Bucket,
		CreateMultipartUploadDetails: objectstorage.CreateMultipartUploadDetails{Object: common.String("made")},
	})
}

func TestANewSignInBringsANewKey(t *testing.T) {
	cloud := cloudtest.Start(t)
	login := cloud.SignIn(time.Hour)
	session, err := outlast.OpenSession(cloud.Options(login))
	check(t, err)
	defer session.Close()
	made := client(t, cloud, ociauth.ConfigurationProvider(session, common.CustomProfileSessionTokenConfigProvider(login.ConfigFile, login.Profile)))
	_, err = made.GetNamespace(t.Context(), objectstorage.GetNamespaceRequest{})
	check(t, err)
	first, err := session.Token(t.Context())
	check(t, err)
	cloud.SignInAgain(login, time.Hour)
	check(t, session.Touch())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if now, err := session.Token(t.Context()); err == nil && now.Generation != first.Generation {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new sign-in is not noticed")
		}
	}
	_, err = create(t.Context(), cloud, &made)
	check(t, err)
}

func TestTheProviderKeepsItsSecrets(t *testing.T) {
	cloud := cloudtest.Start(t)
	who := signIn(t, cloud, time.Hour)
	provider := ociauth.ConfigurationProvider(who.session, who.facts)
	if ok, err := common.IsConfigurationProviderValid(provider); !ok {
		t.Error(err)
	}
	if _, err := provider.PrivateRSAKey(); err == nil || !strings.Contains(err.Error(), "stays with the session") {
		t.Error(err)
	}
	id, err := provider.KeyID()
	check(t, err)
	token, err := who.session.Token(t.Context())
	check(t, err)
	if id != "ST$"+token.Value {
		t.Error("the key id is not the session's")
	}
}
