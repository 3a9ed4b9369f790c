package localpg

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

const (
	sharedMemory  = "/dev/shm"
	tmpfsMagic    = 0x01021994 // statfs(2), TMPFS_MAGIC
	memoryToSpare = 8 << 30
)

// memoryDir is a directory on a file system in memory, empty where there is none with much to spare: a container has 64 MB.
//
// A cluster is a thousand files and a copied database three hundred. On ext4 much of the time of copying them
// went into finding an inode for each that was not freed a moment ago, by the test before.
func memoryDir() string {
	var at syscall.Statfs_t
	if err := syscall.Statfs(sharedMemory, &at); err != nil || int64(at.Type) != tmpfsMagic || at.Bavail*uint64(at.Bsize) < memoryToSpare {
		return ""
	}
	if availableMemory() < memoryToSpare {
		return ""
	}
	return fmt.Sprintf("%s/prodaccess-%d", sharedMemory, os.Geteuid())
}

// availableMemory is how much can be used without swapping (proc(5), MemAvailable), 0 if that is not known.
func availableMemory() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes uint64
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}
