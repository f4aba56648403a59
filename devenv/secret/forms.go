package secret

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// What is too short to be hidden, in bytes.
const (
	shortest     = 6 // of a value
	shortestPart = 8 // of a part of one, such as a line: a file in a Secret has many lines that say nothing
)

// forms lists the texts in which a value may turn up: itself, encoded, quoted, and in parts.
func forms(value string) []string {
	var all []string
	trimmed := strings.TrimSpace(value)
	for _, v := range []string{value, trimmed} {
		if worth(v, shortest) {
			all = append(all, v)
			all = append(all, quoted(v)...)
			all = append(all, encoded(v)...)
		}
	}
	for _, part := range parts(trimmed) {
		all = append(all, part)
		all = append(all, quoted(part)...)
	}
	return all
}

// worth says whether hiding a text protects anything.
func worth(text string, least int) bool {
	return len(text) >= least && !ordinary(text) && strings.Trim(text, "-=*#_./ \t\r\n") != ""
}

// ordinary says of a text that messages are full of it. People put such texts into Secrets beside what is secret; and a password among
// them is one that everybody tries first.
func ordinary(text string) bool {
	switch strings.ToLower(text) {
	case "false", "disable", "disabled", "enable", "enabled", "prefer", "require", "required", "verify-ca", "verify-full",
		"postgres", "postgresql", "mariadb", "mongodb", "rabbitmq", "sqlite3", "localhost", "127.0.0.1", "0.0.0.0",
		"default", "development", "staging", "production", "service", "secret", "opaque",
		"username", "password", "changeme", "administrator", "example", "public", "private":
		return true
	}
	return false
}

// quoted lists the ways in which programs put a text between quotation marks or into an address, where these differ from the text.
func quoted(text string) []string {
	var all []string
	add := func(form string) {
		if form != text {
			all = append(all, form)
		}
	}
	inGo := strconv.Quote(text)
	add(inGo[1 : len(inGo)-1])
	if inJSON, err := json.Marshal(text); err == nil { // with < > & escaped
		add(string(inJSON[1 : len(inJSON)-1]))
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(text) == nil {
		inJSON := strings.TrimSuffix(b.String(), "\n")
		add(inJSON[1 : len(inJSON)-1])
	}
	add(strings.ReplaceAll(text, "'", "''")) // YAML
	add(url.QueryEscape(text))
	add(url.PathEscape(text))
	add(url.User(text).String())
	return all
}

// encoded lists a value in base64: as a Secret has it, as addresses and tokens have it, and in lines as programs break it.
func encoded(value string) []string {
	padded := base64.StdEncoding.EncodeToString([]byte(value))
	all := []string{padded, strings.TrimRight(padded, "="), base64.URLEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value))}
	for _, width := range []int{64, 76} {
		for i := 0; len(padded) > width && i < len(padded); i += width {
			if line := padded[i:min(i+width, len(padded))]; len(line) >= shortestPart {
				all = append(all, line)
			}
		}
	}
	return all
}

var (
	assignment = regexp.MustCompile(`^(?:export\s+|-\s+)?["']?[A-Za-z_][A-Za-z0-9_.-]*["']?\s*(?:=|:\s)\s*(.*)$`)
	// What is a password by where it stands: in the address of a server, or behind a name that says so.
	inAddress = regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s:/@]*:([^\s@]+)@`)
	inPair    = regexp.MustCompile(`(?i)(?:passw?o?r?d?|pwd|secret|token|key|credentials?)["']?\s*[=:]\s*["']?([^\s"',;&]+)`)
)

// parts lists what is secret inside a value: its lines, for output comes by the line; of a line that assigns something to a name, what it
// assigns; the texts of a JSON value; and passwords.
func parts(value string) []string {
	var all []string
	add := func(part string, least int) {
		if worth(part, least) && part != value {
			all = append(all, part)
		}
	}
	for _, where := range []*regexp.Regexp{inAddress, inPair} {
		for _, m := range where.FindAllStringSubmatch(value, -1) {
			add(m[1], shortest)
			if password, err := url.PathUnescape(m[1]); err == nil {
				add(password, shortest)
			}
		}
	}
	if texts, ok := leaves(value); ok {
		for _, text := range texts {
			add(text, shortestPart)
		}
		return all
	}
	several := strings.Contains(value, "\n")
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if m := assignment.FindStringSubmatch(line); m != nil && strings.Trim(m[1], "=") != "" {
			add(strings.Trim(m[1], `"'`), shortestPart)
		} else if several && !strings.HasPrefix(line, "-----") && !strings.ContainsAny(line[max(0, len(line)-1):], ":{[(") {
			add(line, shortestPart) // neither the frame of a PEM block nor the head of a section
		}
	}
	return all
}

// leaves lists the texts of a JSON object or list.
func leaves(value string) ([]string, bool) {
	var decoded any
	if value == "" || !strings.ContainsAny(value[:1], "{[") || json.Unmarshal([]byte(value), &decoded) != nil {
		return nil, false
	}
	var all []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all = append(all, v)
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(decoded)
	return all, true
}
