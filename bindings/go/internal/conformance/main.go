// Conformance plays the scenarios of tests/scenarios from Go; what they mean is told there.
//
//	go run ./internal/conformance [NAME…]
//
// OUTLAST_CLOUD is the cloud's program, OUTLAST_SCENARIOS the folder of scenarios, OUTLAST_REPORT a file that takes a line per
// scenario.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"outlast.example/go"
)

// No step waits longer.
const limit = 2 * time.Minute

// skipped is why a scenario cannot be played here.
type skipped string

func (s skipped) Error() string { return string(s) }

func main() {
	folder := os.Getenv("OUTLAST_SCENARIOS")
	if folder == "" {
		folder = "../../tests/scenarios"
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		fmt.Fprintf(os.Stderr, "no scenarios in %s: name their folder in OUTLAST_SCENARIOS\n", folder)
		os.Exit(2)
	}
	failed := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], name) {
			continue
		}
		began := time.Now()
		err := playFile(file)
		line := fmt.Sprintf("played %s %.1f", name, time.Since(began).Seconds())
		var why skipped
		switch {
		case errors.As(err, &why):
			line = fmt.Sprintf("skipped %s %s", name, why)
		case err != nil:
			failed++
			line = fmt.Sprintf("failed %s %s", name, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		fmt.Println(line)
		if err := report(line); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func report(line string) error {
	path := os.Getenv("OUTLAST_REPORT")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, line)
	return errors.Join(err, file.Close())
}

func playFile(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var scenario scenario
	if err := strictly(text, &scenario); err != nil {
		return err
	}
	for _, feature := range scenario.Needs {
		if !outlast.HasFeature(feature) {
			return skipped("this library has no " + feature)
		}
	}
	dir, err := os.MkdirTemp("", "outlast-scenario-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stage, err := newStage(dir, scenario.Cloud)
	if err != nil {
		return err
	}
	return errors.Join(playSteps(stage, scenario.Steps), stage.close())
}

func playSteps(stage *stage, steps []json.RawMessage) error {
	for number, step := range steps {
		done := make(chan error, 1)
		go func() { done <- stage.step(step) }()
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("step %d: %w", number+1, err)
			}
		case <-time.After(limit):
			// The step is still at it, so that nothing can be tidied up behind it.
			fmt.Printf("failed %s: nothing happened for %v in step %d: %s\n", stage.dir, limit, number+1, step)
			os.Exit(1)
		}
	}
	return nil
}
