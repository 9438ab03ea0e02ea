//go:build tools

// Package etcd pins the store of the test's node. Debian's etcd 3.4 lacks RequestWatchProgress, without which watches break.
package etcd

import _ "go.etcd.io/etcd/server/v3"
