// Command prodaccess hands out expiring, scoped database credentials through Slack, and takes them back.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// say prints one line to a person.
func say(w interface{ Write([]byte) (int, error) }, format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}
