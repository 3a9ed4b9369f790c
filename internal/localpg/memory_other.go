//go:build !linux

package localpg

// memoryDir is a directory on a file system in memory. We know of none here.
func memoryDir() string { return "" }
