package faultproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
)

// between is what stands between the statements of a simple query, as the driver under test joins them.
var between = []byte(";\n")

// statements counts the statements of a round trip.
func statements(raw []byte) int {
	n := 0
	for _, f := range frames(raw) {
		switch f.kind {
		case 'Q':
			query, _ := text(f.body())
			n += bytes.Count([]byte(query), between) + 1
		case 'E':
			n++
		}
	}
	return n
}

// firstStatements is a round trip with its first statements only. It ends with what makes the server answer.
func firstStatements(raw []byte, most int) []byte {
	var out []byte
	done := 0
	for _, f := range frames(raw) {
		switch f.kind {
		case 'Q':
			query, _ := text(f.body())
			parts := bytes.SplitN([]byte(query), between, most+1)
			return simpleQuery(bytes.Join(parts[:min(most, len(parts))], between))
		case 'E':
			if done == most {
				return append(out, syncFrame...)
			}
			done++
		}
		out = append(out, f.raw...)
	}
	return out
}

var syncFrame = []byte{'S', 0, 0, 0, 4}

func simpleQuery(sql []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(len(sql)+5))
	return append(append(out, sql...), 0)
}

func frames(raw []byte) (all []frame) {
	in := bufio.NewReader(bytes.NewReader(raw))
	for {
		f, err := readFrame(in)
		if err != nil {
			return all
		}
		all = append(all, f)
	}
}
