package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"outlast.example/go"
)

// step decodes and plays one.
func (s *stage) step(text json.RawMessage) error {
	var what struct {
		Do string `json:"do"`
	}
	if err := json.Unmarshal(text, &what); err != nil {
		return err
	}
	acts := map[string]act{
		"open": &open{}, "start": &start{}, "await": &await{}, "cancel": &cancel{}, "pause": &pause{}, "resume": &resume{},
		"wait": &wait{}, "supply": &supply{}, "touch": &touch{}, "token": &token{}, "sign": &sign{}, "reject": &reject{},
		"control": &control{}, "check": &check{},
	}
	var err error
	if what.Do == "login" {
		// Its keys are the cloud's.
		var keys map[string]any
		if err = json.Unmarshal(text, &keys); err == nil {
			delete(keys, "do")
			err = s.login(keys)
		}
	} else if act, known := acts[what.Do]; !known {
		err = errors.New("unknown step")
	} else if err = strictly(text, act); err == nil {
		err = act.play(s)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what.Do, err)
	}
	return nil
}

type act interface{ play(s *stage) error }

// named is the key that all steps have.
type named struct {
	Do string `json:"do"`
}

type open struct {
	named
	Kind         string `json:"kind"`
	Profile      string `json:"profile"`
	Name         string `json:"name"`
	Sessions     string `json:"sessions"`
	WaitForLogin int64  `json:"wait_for_login_ms"`
	Supply       string `json:"supply"`
	Expect       *struct {
		Status string `json:"status"`
	} `json:"expect"`
}

func (o *open) play(s *stage) error {
	if err := s.session.Close(); err != nil {
		return err
	}
	s.session = nil
	options := outlast.SessionOptions{Endpoint: s.facts.Endpoint, WaitForLogin: time.Duration(o.WaitForLogin) * time.Millisecond}
	switch o.Kind {
	case "supplied":
		if err := (&supply{Answer: o.Supply}).play(s); err != nil {
			return err
		}
		options.Supply = s.give
	case "defined":
		file := filepath.Join(s.dir, "sessions.conf")
		if o.Sessions != "" {
			text := strings.ReplaceAll(o.Sessions, "{endpoint}", s.facts.Endpoint)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return err
			}
		}
		options.Name, options.SessionsFile = o.Name, file
	case "profile":
		options.Profile, options.ConfigFile, options.AuthEndpoint = "LAB", s.profile.ConfigFile, s.facts.AuthEndpoint
		if o.Profile != "" {
			options.Profile = o.Profile
		}
	default:
		return fmt.Errorf("unknown kind %q", o.Kind)
	}
	session, err := s.client.OpenSession(options)
	wanted := "ok"
	if o.Expect != nil {
		wanted = o.Expect.Status
	}
	if found := status(err); found != wanted {
		return fmt.Errorf("status is %s (%w), expected %s", found, err, wanted)
	}
	s.session = session
	return nil
}

type start struct {
	named
	Object  string `json:"object"`
	Bucket  string `json:"bucket"`
	Source  source `json:"source"`
	Options struct {
		PartSize    int64             `json:"part_size_bytes"`
		Parallel    int               `json:"parallel_upload_count"`
		NoMultipart bool              `json:"no_multipart"`
		NoOverwrite bool              `json:"no_overwrite"`
		IfMatch     string            `json:"if_match"`
		OnFailure   outlast.OnFailure `json:"on_failure"`
	} `json:"options"`
}

func (a *start) play(s *stage) error {
	s.forget()
	options := outlast.UploadOptions{
		Namespace: s.facts.Namespace, BucketName: s.facts.Buckets[0], Name: a.Object, PartSize: a.Options.PartSize, ParallelUploadCount: a.Options.Parallel,
		NoMultipart: a.Options.NoMultipart, NoOverwrite: a.Options.NoOverwrite, IfMatch: a.Options.IfMatch, OnFailure: a.Options.OnFailure,
	}
	if a.Bucket != "" {
		options.BucketName = a.Bucket
	}
	s.began, s.events = time.Now(), map[outlast.EventKind]int{}
	s.upload, s.failure = s.begin(a.Source, options)
	if s.failure != nil {
		var known *outlast.Error
		if !errors.As(s.failure, &known) {
			return s.failure
		}
		return nil
	}
	s.next, s.stop = iter.Pull(s.upload.Events(s.ctx))
	return nil
}

type await struct {
	named
	Event outlast.EventKind `json:"event"`
	Count int               `json:"count"`
}

func (a *await) play(s *stage) error {
	if s.failure != nil {
		return s.failure
	}
	for s.events[a.Event] < a.Count {
		event, more := s.next()
		if !more {
			return fmt.Errorf("the upload ended before %d of %s", a.Count, a.Event)
		}
		s.events[event.Kind]++
	}
	return nil
}

type cancel struct {
	named
	OnFailure outlast.OnFailure `json:"on_failure"`
}

func (a *cancel) play(s *stage) error { return s.upload.Cancel(a.OnFailure) }

type pause struct{ named }

func (*pause) play(s *stage) error { return s.upload.Pause() }

type resume struct{ named }

func (*resume) play(s *stage) error { return s.upload.Resume() }

type wait struct {
	named
	Expect map[string]json.RawMessage `json:"expect"`
}

func (a *wait) play(s *stage) error {
	var result *outlast.Result
	failure := s.failure
	if failure == nil {
		for event, more := s.next(); more; event, more = s.next() {
			s.events[event.Kind]++
		}
		result, failure = s.upload.Wait(s.ctx)
	}
	found := map[string]any{"status": status(failure), "took_ms": float64(time.Since(s.began)) / float64(time.Millisecond)}
	if result != nil {
		maps.Copy(found, map[string]any{
			"bytes": result.Size, "parts": result.Parts, "parts_reused": result.PartsReused, "retries": result.Retries,
			"refusals": result.Refusals, "verified": result.Verified,
		})
	}
	var known *outlast.Error
	if errors.As(failure, &known) {
		maps.Copy(found, map[string]any{"http_status": known.HTTPStatus, "retry": known.Retry, "resumable": known.Resumable})
	}
	for name, wanted := range a.Expect {
		if name == "events" {
			if err := a.compareEvents(s, wanted); err != nil {
				return err
			}
			continue
		}
		value, comparable := found[name]
		if !comparable {
			return fmt.Errorf("%s cannot be compared after %v", name, failure)
		}
		if err := compare(name, value, wanted); err != nil {
			return fmt.Errorf("%w (%v)", err, failure)
		}
	}
	return nil
}

func (*wait) compareEvents(s *stage, wanted json.RawMessage) error {
	var kinds map[outlast.EventKind]json.RawMessage
	if err := json.Unmarshal(wanted, &kinds); err != nil {
		return err
	}
	for kind, number := range kinds {
		if err := compare("events "+string(kind), s.events[kind], number); err != nil {
			return err
		}
	}
	return nil
}

type supply struct {
	named
	Answer string `json:"answer"`
}

func (a *supply) play(s *stage) error {
	if a.Answer != "fresh" && a.Answer != "sign-in-needed" {
		return fmt.Errorf("unknown answer %q", a.Answer)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = a.Answer
	return nil
}

type touch struct{ named }

func (*touch) play(s *stage) error { return s.session.Touch() }

type token struct{ named }

func (*token) play(s *stage) error {
	found, err := s.session.Token(s.ctx)
	if err != nil {
		return err
	}
	newest, err := ask[struct{ Token string }](s, "token?profile=LAB")
	if err != nil {
		return err
	}
	if found.Value != newest.Token || found.Generation < s.generation {
		return errors.New("it is not the newest token")
	}
	return nil
}

type sign struct {
	named
	Method      string  `json:"method"`
	Target      string  `json:"target"`
	ContentType string  `json:"content_type"`
	Body        *string `json:"body"`
	Status      int     `json:"status"`
	Newer       bool    `json:"newer"`
}

func (a *sign) play(s *stage) error {
	request := outlast.Request{Method: a.Method, URL: s.facts.Endpoint + a.Target, ContentType: a.ContentType}
	if a.Body != nil {
		request.SignBody, request.Body = true, []byte(*a.Body)
	}
	signed, err := s.session.Sign(s.ctx, request)
	if err != nil {
		return err
	}
	if a.Newer && signed.Generation <= s.generation {
		return fmt.Errorf("still generation %d", signed.Generation)
	}
	s.generation = signed.Generation
	headers := maps.Collect(signed.All())
	if a.ContentType != "" {
		headers["content-type"] = a.ContentType
	}
	answered, content, err := s.http(a.Method, a.Target, request.Body, headers)
	if err != nil {
		return err
	}
	if answered != 401 {
		if err := s.session.Accept(signed.Generation); err != nil {
			return err
		}
	}
	if answered != a.Status {
		return fmt.Errorf("status is %d, expected %d: %s", answered, a.Status, content)
	}
	return nil
}

type reject struct{ named }

func (*reject) play(s *stage) error { return s.session.Reject(s.generation) }

type control struct {
	named
	Path string          `json:"path"`
	Body json.RawMessage `json:"body"`
}

func (a *control) play(s *stage) error {
	if a.Body == nil {
		a.Body = json.RawMessage("{}")
	}
	_, err := s.control(a.Path, a.Body)
	return err
}

type check struct {
	named
	Objects  map[string]string          `json:"objects"`
	Uploads  json.RawMessage            `json:"uploads"`
	Stats    map[string]json.RawMessage `json:"stats"`
	Supplied json.RawMessage            `json:"supplied"`
}

func (a *check) play(s *stage) error {
	if a.Objects != nil {
		found, err := s.digests()
		if err != nil {
			return err
		}
		if !maps.Equal(found, a.Objects) {
			return fmt.Errorf("objects are %v, expected %v", found, a.Objects)
		}
	}
	if a.Uploads != nil {
		uploads, err := ask[[]json.RawMessage](s, "uploads")
		if err != nil {
			return err
		}
		if err := compare("uploads", len(uploads), a.Uploads); err != nil {
			return err
		}
	}
	if a.Supplied != nil {
		s.mu.Lock()
		supplied := s.supplied
		s.mu.Unlock()
		if err := compare("supplied", supplied, a.Supplied); err != nil {
			return err
		}
	}
	if a.Stats == nil {
		return nil
	}
	stats, err := ask[map[string]any](s, "stats")
	if err != nil {
		return err
	}
	for name, wanted := range a.Stats {
		if err := compare("stats "+name, stats[name], wanted); err != nil {
			return err
		}
	}
	return nil
}

// digests gives the SHA-256 of all objects, by their names.
func (s *stage) digests() (map[string]string, error) {
	objects, err := ask[[]struct{ Bucket, Name string }](s, "objects")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, object := range objects {
		data, err := s.control("bytes?bucket="+url.QueryEscape(object.Bucket)+"&name="+url.QueryEscape(object.Name), nil)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(data)
		found[object.Name] = hex.EncodeToString(digest[:])
	}
	return found, nil
}
