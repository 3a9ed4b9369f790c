package faultproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"
)

func message(kind byte, body string) []byte {
	out := append([]byte{kind}, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(out[1:], uint32(4+len(body)))
	return append(out, body...)
}

// FuzzScript: whatever a client sends, everything goes on to the server as it came and in the same order.
func FuzzScript(f *testing.F) {
	f.Add(message('Q', "SELECT 1\x00"))
	f.Add(bytes.Join([][]byte{
		message('P', "s1\x00INSERT INTO notes VALUES ($1)\x00\x00\x00"), message('D', "Ss1\x00"), message('S', ""),
		message('B', "\x00s1\x00\x00\x00\x00\x00"), message('E', "\x00\x00\x00\x00\x00"), message('C', "Ss1\x00"), message('S', ""),
	}, nil))
	f.Add(bytes.Join([][]byte{message('H', ""), message('B', ""), message('E', ""), message('C', ""), message('X', "")}, nil))
	f.Add([]byte{'Q', 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{'Q', 0, 0, 0, 3, 0})
	f.Fuzz(func(t *testing.T, sent []byte) {
		in := bufio.NewReader(bytes.NewReader(sent))
		s := newScript()
		var passed []byte
		for {
			frame, err := readFrame(in)
			if err != nil {
				break
			}
			whole, step, _ := s.take(frame)
			passed = append(passed, whole...)
			if len(step.SQL) > 0 && (frame.kind == 'P' || frame.kind == 'B' || frame.kind == 'H' || step.SQL[0] == "" && step.Runs("x")) {
				t.Errorf("a step ends with %q and executes %q", frame.kind, step.SQL)
			}
			s.sent(step)
		}
		passed = append(passed, s.pending...)
		if !bytes.HasPrefix(sent, passed) {
			t.Errorf("%q came to %q", sent, passed)
		}
	})
}

func TestAStepKnowsWhatWasPrepared(t *testing.T) {
	s := newScript()
	feed := func(kind byte, body string) Step {
		_, step, _ := s.take(frame{kind: kind, raw: message(kind, body)})
		s.sent(step)
		return step
	}
	feed('P', "a\x00UPDATE grants SET state = $1\x00\x00\x00")
	if step := feed('S', ""); len(step.SQL) != 0 {
		t.Errorf("preparing is a step: %q", step.SQL)
	}
	feed('Q', "begin\x00")
	s.ready(frame{kind: 'Z', raw: message('Z', "T")})
	feed('B', "\x00a\x00\x00\x00\x00\x01\x00\x00\x00\x07revoked\x00\x00")
	feed('E', "\x00\x00\x00\x00\x00")
	step := feed('S', "")
	if !step.Runs("update GRANTS") || !step.Mentions("revoked") || len(step.Earlier) != 1 || !step.Earlier[0].Runs("begin") {
		t.Errorf("got %+v", step)
	}
	if step := feed('Q', "commit\x00"); len(step.Earlier) != 2 {
		t.Errorf("COMMIT does not know its transaction: %+v", step)
	}
	s.ready(frame{kind: 'Z', raw: message('Z', "I")})
	if step := feed('Q', "SELECT 1\x00"); len(step.Earlier) != 0 {
		t.Errorf("a transaction that is over goes on: %+v", step)
	}
}
