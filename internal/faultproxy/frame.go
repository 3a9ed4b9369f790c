package faultproxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// longest is far more than any message of a client of ours; a longer one is taken for nonsense.
const longest = 64 << 20

// What a client may begin with in place of a startup message. Source: PostgreSQL documentation, "Message Formats".
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssRequest    = 80877104
)

// errFrame is what a message that cannot be one comes to.
var errFrame = errors.New("not a message of the protocol")

// frame is one whole message as it was on the wire. kind is 0 for what begins a connection, which has no type byte.
type frame struct {
	kind byte
	raw  []byte
}

// body is what follows type and length.
func (f frame) body() []byte {
	if f.kind == 0 {
		return f.raw[4:]
	}
	return f.raw[5:]
}

// readFrame reads a message with a type byte.
func readFrame(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(5)
	if err != nil {
		return frame{}, err
	}
	f := frame{kind: head[0]}
	f.raw, err = readWhole(r, 1, int(binary.BigEndian.Uint32(head[1:])))
	return f, err
}

// readOpening reads what a client begins with, and its code: the protocol's version or one of the requests.
func readOpening(r *bufio.Reader) (frame, uint32, error) {
	head, err := r.Peek(8)
	if err != nil {
		return frame{}, 0, err
	}
	code := binary.BigEndian.Uint32(head[4:])
	raw, err := readWhole(r, 0, int(binary.BigEndian.Uint32(head)))
	return frame{raw: raw}, code, err
}

// readWhole reads a message whose length field counts itself and not the prefix before it.
func readWhole(r *bufio.Reader, prefix, length int) ([]byte, error) {
	if length < 4 || length > longest {
		return nil, fmt.Errorf("%w: a length of %d bytes", errFrame, length)
	}
	raw := make([]byte, prefix+length)
	_, err := io.ReadFull(r, raw)
	return raw, err
}
