// Package reuse measures golang.org/x/oauth2's ReuseTokenSource with a fresh token, as the Rust side measures ours.
package reuse

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

type minting struct{}

func (minting) Token() (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "token", Expiry: time.Now().Add(time.Hour)}, nil
}

var kept [8]*oauth2.Token

func BenchmarkReuseTokenSource(b *testing.B) {
	source := oauth2.ReuseTokenSource(nil, minting{})
	for _, threads := range []int{1, 2, 8} {
		b.Run(fmt.Sprint(threads), func(b *testing.B) {
			b.ReportAllocs()
			var all sync.WaitGroup
			for thread := range threads {
				all.Add(1)
				go func() {
					defer all.Done()
					for range b.N {
						token, err := source.Token()
						if err != nil {
							b.Error(err)
							return
						}
						kept[thread] = token
					}
				}()
			}
			all.Wait()
		})
	}
}
