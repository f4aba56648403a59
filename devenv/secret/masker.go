// Package secret keeps the values of secrets out of what people and machines read, and out of what is kept.
//
// Two things do that. A Masker knows where in an object the values are: it puts a short keyed hash in the place of each, such as
// secret:1a2b3c4d, so that two versions of an object can be compared and shown, and a change is visible. A Redactor knows the
// values themselves: it takes them out of any text, wherever they turn up, be it in an API server's complaint or in what a
// container printed.
//
// The package reads no file and no clock, and imports nothing of ours.
package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
)

// Key is what hashes are keyed with. Whoever has it can try out what a short password may be, so it is kept where the secrets
// themselves could be kept.
type Key [32]byte

// NewKey draws a key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // it never fails: since Go 1.24 the program ends instead
	return k
}

// Masker makes hashes of secret values. Equal values have equal hashes under the same key.
type Masker struct{ key Key }

// NewMasker makes a Masker.
func NewMasker(k Key) Masker { return Masker{k} }

// prefix marks a hash, so that nobody takes it for the value.
const prefix = "secret:"

// Value is the hash that stands for a value: secret:1a2b3c4d. Of two different values, one time in four thousand million it is
// the same, which is good enough for showing that something changed.
func (m Masker) Value(value []byte) string { return prefix + hex.EncodeToString(m.sum(value)[:4]) }

// Hash is the whole keyed hash of anything, 64 hexadecimal digits: enough to decide by.
func (m Masker) Hash(data []byte) string { return hex.EncodeToString(m.sum(data)) }

func (m Masker) sum(data []byte) []byte {
	h := hmac.New(sha256.New, m.key[:])
	h.Write(data)
	return h.Sum(nil)
}

// lastApplied is the annotation in which "kubectl apply" keeps the whole object, values and all.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Is says whether a decoded object is one of Kubernetes' Secrets.
func Is(object map[string]any) bool {
	return object["kind"] == "Secret" && object["apiVersion"] == "v1"
}

// Object is a decoded object as it may be shown. Of a Secret that is a copy with a hash in the place of every value of data,
// stringData and of what kubectl noted of them; what data encodes is hashed, so that the same value has the same hash in data and
// in stringData. What does not have the shape that it should have is hashed as it stands. Every other object is returned itself.
func (m Masker) Object(object map[string]any) map[string]any {
	if !Is(object) {
		return object
	}
	masked := maps.Clone(object)
	for _, field := range []string{"data", "stringData"} {
		if v, ok := object[field]; ok {
			masked[field] = m.values(v, field == "data")
		}
	}
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if noted, ok := annotations[lastApplied]; ok {
		metadata, annotations = maps.Clone(metadata), maps.Clone(annotations)
		annotations[lastApplied] = m.noted(noted)
		metadata["annotations"] = annotations
		masked["metadata"] = metadata
	}
	return masked
}

// values masks the value of data or stringData.
func (m Masker) values(field any, encoded bool) any {
	entries, ok := field.(map[string]any)
	if !ok {
		if field == nil {
			return nil
		}
		return m.Value(plain(field, encoded))
	}
	masked := make(map[string]any, len(entries))
	for name, v := range entries {
		if v == nil {
			masked[name] = nil
			continue
		}
		masked[name] = m.Value(plain(v, encoded))
	}
	return masked
}

// noted masks what kubectl noted of the object.
func (m Masker) noted(annotation any) string {
	text, _ := annotation.(string)
	object, err := decode([]byte(text))
	if err == nil && Is(object) {
		if masked, err := json.Marshal(m.Object(object)); err == nil {
			return string(masked)
		}
	}
	return m.Value(plain(annotation, false))
}

// JSON is Object for an object as JSON. What is no Secret is returned as it is.
func (m Masker) JSON(object []byte) ([]byte, error) {
	if !bytes.Contains(object, []byte(`"Secret"`)) {
		return object, nil // most are not, and decoding takes time
	}
	decoded, err := decode(object)
	if err != nil {
		return nil, fmt.Errorf("mask an object: %w", err)
	}
	if !Is(decoded) {
		return object, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m.Object(decoded)); err != nil {
		return nil, fmt.Errorf("mask an object: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Values lists the plain values of a Secret, in no order: of data, stringData and what kubectl noted of them. Other objects have none.
func Values(object map[string]any) [][]byte {
	if !Is(object) {
		return nil
	}
	var all [][]byte
	add := func(field any, encoded bool) {
		if entries, ok := field.(map[string]any); ok {
			for _, v := range entries {
				all = append(all, plain(v, encoded))
			}
		} else if field != nil {
			all = append(all, plain(field, encoded))
		}
	}
	add(object["data"], true)
	add(object["stringData"], false)
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if text, ok := annotations[lastApplied].(string); ok {
		if noted, err := decode([]byte(text)); err == nil {
			all = append(all, Values(noted)...)
		}
	}
	return all
}

// plain is the value that a field of a Secret stands for. What is no text, or not in base64 where it should be, stands for itself.
func plain(v any, encoded bool) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if encoded {
			if value, err := base64.StdEncoding.DecodeString(v); err == nil {
				return value
			}
		}
		return []byte(v)
	case json.Number:
		return []byte(v)
	}
	text, err := json.Marshal(v)
	if err != nil { // nothing that was decoded from JSON
		return fmt.Append(nil, v)
	}
	return text
}

// decode reads an object without losing digits of its numbers.
func decode(data []byte) (map[string]any, error) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return object, d.Decode(&object)
}
