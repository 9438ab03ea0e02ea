//go:build tools

// Package tools names the program that go.mod pins. A module of its own is needed: helm-unittest replaces one of its dependencies,
// so `go install` refuses it.
package tools

import _ "github.com/helm-unittest/helm-unittest/cmd/helm-unittest"
