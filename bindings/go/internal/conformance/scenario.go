package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// scenario is a file of tests/scenarios; its README says what all of this means. Unknown keys are refused.
type scenario struct {
	Name  string            `json:"name"`
	About string            `json:"about"`
	Needs []string          `json:"needs"`
	Cloud setting           `json:"cloud"`
	Steps []json.RawMessage `json:"steps"`
}

type setting struct {
	Settings map[string]any    `json:"settings"`
	Faults   []json.RawMessage `json:"faults"`
	Login    map[string]any    `json:"login"`
	Clock    map[string]any    `json:"clock"`
}

type source struct {
	Kind  string `json:"kind"`
	Bytes int    `json:"bytes"`
	Seed  int    `json:"seed"`
}

// content is the bytes that the README defines.
func (s source) content() []byte {
	data := make([]byte, s.Bytes)
	for i := range data {
		data[i] = byte(s.Seed + i + 7*(i>>8) + 13*(i>>16))
	}
	return data
}

// strictly decodes JSON and refuses keys that are not known.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// compare tells how a finding differs from what was expected: a value, or a range of numbers.
func compare(what string, found any, wanted json.RawMessage) error {
	var limits struct {
		AtLeast *float64 `json:"at_least"`
		AtMost  *float64 `json:"at_most"`
	}
	if bytes.HasPrefix(bytes.TrimSpace(wanted), []byte("{")) {
		if err := strictly(wanted, &limits); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		number, isNumber := asNumber(found)
		if isNumber && (limits.AtLeast == nil || number >= *limits.AtLeast) && (limits.AtMost == nil || number <= *limits.AtMost) {
			return nil
		}
		return fmt.Errorf("%s is %v, expected %s", what, found, wanted)
	}
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	var left, right any
	if err := json.Unmarshal(text, &left); err != nil {
		return err
	}
	if err := json.Unmarshal(wanted, &right); err != nil {
		return err
	}
	if left != right {
		return fmt.Errorf("%s is %v, expected %s", what, found, wanted)
	}
	return nil
}

func asNumber(value any) (float64, bool) {
	switch value := value.(type) {
	case int:
		return float64(value), true
	case int64:
		return float64(value), true
	case float64:
		return value, true
	}
	return 0, false
}
