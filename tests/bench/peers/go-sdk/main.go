// The official Go SDK's transfer manager, with a session token.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/objectstorage"
	"github.com/oracle/oci-go-sdk/v65/objectstorage/transfer"
)

func main() {
	if err := put(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func put() error {
	provider, err := common.ConfigurationProviderForSessionTokenWithProfile(
		os.Getenv("BENCH_CONFIG"), os.Getenv("BENCH_PROFILE"), "")
	if err != nil {
		return err
	}
	client, err := objectstorage.NewObjectStorageClientWithConfigurationProvider(provider)
	if err != nil {
		return err
	}
	client.Host = os.Getenv("BENCH_ENDPOINT")
	authority, err := os.ReadFile(os.Getenv("BENCH_CA"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	parallel, err := strconv.Atoi(os.Getenv("BENCH_PARALLEL"))
	if err != nil {
		return err
	}
	client.HTTPClient = &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		MaxIdleConnsPerHost: parallel,
	}}
	mebibytes, err := strconv.ParseInt(os.Getenv("BENCH_PART_MIB"), 10, 64)
	if err != nil {
		return err
	}
	_, err = transfer.NewUploadManager().UploadFile(context.Background(), transfer.UploadFileRequest{
		UploadRequest: transfer.UploadRequest{
			NamespaceName:         common.String(os.Getenv("BENCH_NAMESPACE")),
			BucketName:            common.String(os.Getenv("BENCH_BUCKET")),
			ObjectName:            common.String("object"),
			PartSize:              common.Int64(mebibytes << 20),
			AllowMultipartUploads: common.Bool(true),
			AllowParrallelUploads: common.Bool(true),
			NumberOfGoroutines:    common.Int(parallel),
			ObjectStorageClient:   &client,
		},
		FilePath: os.Getenv("BENCH_FILE"),
	})
	return err
}
