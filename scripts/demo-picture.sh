#!/bin/sh
# Draws docs/demo.svg: the demo's own output, shortened to the lines that carry the story, in a terminal window.
#
#   scripts/demo-picture.sh              plays the demo first (about a minute)
#   scripts/demo-picture.sh OUTPUT.txt   draws what an earlier `prodaccess demo --play > OUTPUT.txt` printed
#
# Nothing is added to what the demo printed. Lines are left out or cut at their end ("…"), passwords are masked, and
# pictographs go, because not every machine has a font for them.
set -eu
cd "$(dirname "$0")/.."

drawn=$(mktemp)
trap 'rm -f "$drawn" "${mine:-}"' EXIT
if [ $# -gt 0 ]; then
	played=$1
else
	scripts/setup.sh demo
	go build -o bin/prodaccess ./cmd/prodaccess
	mine=$(mktemp)
	played=$mine
	bin/prodaccess demo --play >"$played"
fi

# Bytes, so that every awk cuts and pads alike; no line is cut inside a character (see cut below).
LC_ALL=C awk '
function escaped(text) {
	gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
	return text
}
# cut shortens a line to what fits the window, at a space.
function cut(text,    at) {
	if (length(text) <= 114) return text
	at = 106
	while (at > 60 && substr(text, at, 1) != " ") at--
	return substr(text, 1, at - 1) " …"
}
function put(class, text) {
	row++
	line[row] = sprintf("<text x=\"24\" y=\"%d\" class=\"%s\">%s</text>", 48 + row * 19, class, escaped(cut(text)))
}
function gap() { row += 0.5 }
BEGIN { put("prompt", "$ make demo") }

# Passwords are the 26 capitals and digits between the login and the host.
{ gsub(/:[A-Z2-7][A-Z2-7][A-Z2-7][A-Z2-7][A-Z2-7][A-Z2-7][A-Z2-7][A-Z2-7][A-Z2-7][A-Z2-7]+@/, ":••••••••@") }

/^[0-9]+\. / { chapter = $1 + 0; gap(); put("head", $0); next }
chapter == 0 { next }
/^   (ana|bo|cy|dora|sam) (types|presses|opens)/ { put("act", $0); next }
/│ (⛔ Denied|Nobody decides about)/ { sub(/⛔ /, ""); put("no", $0); next }
/│ ⏳ Asked for/ { sub(/⏳ /, ""); put("seen", $0); next }
/│ ✅ Approved: / { sub(/✅ /, ""); put("yes", $0); next }
chapter == 3 && /│ postgresql:/ { put("secret", $0); next }
chapter == 3 && /│ \*[0-9]+s left\*/ { gsub(/\*/, ""); put("seen", $0); next }
chapter == 3 && /orders=> (SELECT id|UPDATE)/ { put("sql", $0); next }
chapter == 3 && / stuck in checkout$/ { put("rows", $0); next }
/ERROR:|FATAL:/ { put("no", $0); next }
chapter == 5 && /orders=> SELECT 1   … fine, ( 5|10) s/ { put("sql", $0); next }
chapter == 5 && /orders=> SELECT 1$/ { put("sql", $0); next }
chapter == 5 && /│ .*Verified .*the login is gone/ { proven = 1; put("yes", $0); next }
chapter == 5 && /│ .*✓ (role|no role|no session|no membership)/ && !seen[$0]++ { put("yes", $0); next }
chapter == 6 && /events, .* seals, head/ { put("seen", $0); next }
chapter == 6 && /The chain is whole/ { put("yes", $0); next }

END {
	if (row < 25 || !proven) { print "the demo does not say what this script looks for; has it changed?" > "/dev/stderr"; exit 1 }
	height = int(48 + row * 19 + 34)
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"920\" height=\"%d\" viewBox=\"0 0 920 %d\" role=\"img\" aria-labelledby=\"t\">\n", height, height
	print "<title id=\"t\">prodaccess demo: asked, approved, used, cut off at the deadline, proven</title>"
	print "<style>"
	print "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;white-space:pre;fill:#c9d4e3}"
	print ".prompt{fill:#8b98ab}.head{fill:#fff;font-weight:700}.act{fill:#8fd694}.seen{fill:#c9d4e3}.secret{fill:#f2cc8f}"
	print ".sql{fill:#8ec7ff}.rows{fill:#9fb0c6}.no{fill:#ff8f8f}.yes{fill:#8fd694}.bar{fill:#8b98ab;font-size:12px}"
	print "</style>"
	printf "<rect x=\"1\" y=\"1\" width=\"918\" height=\"%d\" rx=\"10\" fill=\"#111a26\" stroke=\"#5b6b80\" stroke-width=\"1.5\"/>\n", height - 2
	print "<path d=\"M1 40h918\" stroke=\"#2c3a4d\"/>"
	print "<circle cx=\"24\" cy=\"21\" r=\"6\" fill=\"#ff6b61\"/><circle cx=\"44\" cy=\"21\" r=\"6\" fill=\"#f5be4f\"/><circle cx=\"64\" cy=\"21\" r=\"6\" fill=\"#62c554\"/>"
	print "<text x=\"460\" y=\"25\" text-anchor=\"middle\" class=\"bar\">prodaccess demo (shortened; everything but Slack and PagerDuty is real)</text>"
	for (i = 0; i <= row; i += 0.5) if (i in line) print line[i]
	print "</svg>"
}' "$played" >"$drawn"
cat "$drawn" >docs/demo.svg
echo "docs/demo.svg: $(grep -c '<text' docs/demo.svg) lines of text"
