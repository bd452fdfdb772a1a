package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"outlast.example/go"
)

// stage is one scenario's cloud, directory and client, and what a runner has to remember.
type stage struct {
	dir     string
	ctx     context.Context
	client  *outlast.Client
	session *outlast.Session
	cloud   *exec.Cmd
	input   io.Closer
	facts   struct {
		Endpoint     string   `json:"endpoint"`
		AuthEndpoint string   `json:"auth_endpoint"`
		Namespace    string   `json:"namespace"`
		Buckets      []string `json:"buckets"`
	}
	profile struct {
		ConfigFile string `json:"config_file"`
		KeyFile    string `json:"key_file"`
	}

	generation uint64
	upload     *outlast.Upload
	failure    error
	began      time.Time
	next       func() (outlast.Event, bool)
	stop       func()
	events     map[outlast.EventKind]int

	mu       sync.Mutex
	answer   string
	supplied int
}

func newStage(dir string, setting setting) (*stage, error) {
	s := &stage{dir: dir, ctx: context.Background()}
	s.cloud = exec.Command(os.Getenv("OUTLAST_CLOUD"))
	s.cloud.Stderr = os.Stderr
	input, err := s.cloud.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.input = input
	output, err := s.cloud.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cloud.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &s.facts)
	}
	if err == nil {
		s.client, err = outlast.NewClient(&outlast.ClientOptions{StateDir: filepath.Join(dir, "state")})
	}
	if err == nil {
		err = s.set(setting)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) set(setting setting) error {
	if len(setting.Settings) > 0 {
		if _, err := s.control("settings", setting.Settings); err != nil {
			return err
		}
	}
	for _, fault := range setting.Faults {
		if _, err := s.control("fault", fault); err != nil {
			return err
		}
	}
	if err := s.login(setting.Login); err != nil {
		return err
	}
	if len(setting.Clock) > 0 {
		if _, err := s.control("clock", setting.Clock); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) close() error {
	s.forget()
	err := s.session.Close()
	if s.client != nil {
		err = errors.Join(err, s.client.Close())
	}
	_ = s.input.Close()
	return errors.Join(err, s.cloud.Wait())
}

// forget lets go of an upload.
func (s *stage) forget() {
	if s.stop != nil {
		s.stop()
	}
	_ = s.upload.Close()
	s.upload, s.stop = nil, nil
}

func (s *stage) http(method, target string, body []byte, headers map[string]string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(s.ctx, method, s.facts.Endpoint+target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	return answer.StatusCode, content, err
}

// control asks the cloud's control face; body nil is a GET.
func (s *stage) control(path string, body any) ([]byte, error) {
	method, text := http.MethodGet, []byte(nil)
	if body != nil {
		var err error
		method = http.MethodPost
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	status, found, err := s.http(method, "/_control/"+path, text, map[string]string{"content-type": "application/json"})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %s", method, path, status, found)
	}
	return found, err
}

func ask[T any](s *stage, path string) (found T, err error) {
	text, err := s.control(path, nil)
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	return found, err
}

func (s *stage) login(login map[string]any) error {
	path, body := "login", map[string]any{"profile": "LAB", "dir": filepath.Join(s.dir, "oci")}
	for name, value := range login {
		if name == "kind" && value == "api_key" {
			path = "api_key"
			continue
		}
		body[name] = value
	}
	found, err := s.control(path, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(found, &s.profile)
}

// give is the host's answer to a wish for a credential.
func (s *stage) give(context.Context) (outlast.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer == "sign-in-needed" {
		return outlast.Credential{}, fmt.Errorf("nobody is signed in: %w", outlast.ErrSignInNeeded)
	}
	if _, err := s.control("refresh", map[string]any{"profile": "LAB"}); err != nil {
		return outlast.Credential{}, err
	}
	s.supplied++
	token, err := ask[struct{ Token string }](s, "token?profile=LAB")
	if err != nil {
		return outlast.Credential{}, err
	}
	key, err := os.ReadFile(s.profile.KeyFile)
	return outlast.Credential{Token: token.Token, PrivateKey: key}, err
}

// file gives a source's file, written once.
func (s *stage) file(source source) (string, error) {
	path := filepath.Join(s.dir, fmt.Sprintf("source-%d-%d", source.Seed, source.Bytes))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, os.WriteFile(path, source.content(), 0o600)
}

// begin starts an upload of a source, in the way that its kind asks for.
func (s *stage) begin(source source, options outlast.UploadOptions) (*outlast.Upload, error) {
	uploader := s.session.Uploader()
	switch source.Kind {
	case "path":
		path, err := s.file(source)
		if err != nil {
			return nil, err
		}
		return uploader.Start(s.ctx, outlast.File(path), options)
	case "fd":
		path, err := s.file(source)
		if err != nil {
			return nil, err
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return uploader.Start(s.ctx, outlast.ReaderAt(file, int64(source.Bytes)), options)
	case "bytes":
		return uploader.Start(s.ctx, outlast.Bytes(source.content()), options)
	case "stream":
		return uploader.Start(s.ctx, outlast.Reader(uneven{bytes.NewReader(source.content())}), options)
	case "writer":
		writer, err := uploader.Writer(s.ctx, options)
		if err != nil {
			return nil, err
		}
		for data := source.content(); len(data) > 0; {
			piece := min(len(data), 70_001)
			if _, err := writer.Write(data[:piece]); err != nil {
				return nil, err
			}
			data = data[piece:]
		}
		// What went wrong is told by the upload, too.
		_ = writer.Close()
		return writer.Upload(), nil
	}
	return nil, fmt.Errorf("unknown source %q", source.Kind)
}

// uneven reads in pieces that fit nothing, and hides everything but Read.
type uneven struct{ r io.Reader }

func (u uneven) Read(p []byte) (int, error) { return u.r.Read(p[:min(len(p), 70_001)]) }

// status is an error's name.
func status(err error) string {
	var failure *outlast.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &failure):
		return string(failure.Code)
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}
