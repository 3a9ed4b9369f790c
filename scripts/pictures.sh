#!/bin/sh
# Takes the pictures of the documentation from the demo's page, in a real browser: docs/demo.png and docs/pictures/*.png.
#
#   scripts/pictures.sh         plays the tour (some two minutes) and takes them
#   scripts/pictures.sh DIR     takes them from the screenshots in DIR: SCREENSHOTS=DIR go test -run 'TestThePage$' ./internal/demo
#
# Nothing is retouched. The logins in the pictures were gone a minute later.
set -eu
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
	shots=$1
else
	scripts/setup.sh test
	if command -v fc-list >/dev/null 2>&1 && ! fc-list | grep -qi emoji; then
		echo "there is no font with emoji, and the pictures would show boxes: apt-get install fonts-noto-color-emoji" >&2
		exit 1
	fi
	shots=$(mktemp -d)
	trap 'rm -rf "$shots"' EXIT
	SCREENSHOTS=$shots TOUR_LASTS=1m go test -count=1 -run 'TestThePage$' ./internal/demo
fi

mkdir -p docs/pictures
# take PICTURE SHOT: a shot's name has its number in the middle.
take() {
	set -- "$1" "$shots"/$2
	if [ $# -ne 2 ] || [ ! -s "$2" ]; then
		echo "the tour does not take $2 any more; has it changed?" >&2
		exit 1
	fi
	cat "$2" >"$1"
	echo "$1: $(wc -c <"$1") bytes"
}
take docs/demo.png 'large-light-*-used.png'
take docs/pictures/refused.png 'large-light-*-refused.png'
take docs/pictures/card.png 'large-light-*-card.png'
take docs/pictures/credential.png 'large-light-*-use-it.png'
take docs/pictures/receipt.png 'large-light-*-receipt.png'
take docs/pictures/form.png 'everything-*-form.png'
take docs/pictures/home.png 'everything-*-home.png'
take docs/pictures/phone.png 'phone-dark-*-card.png'
