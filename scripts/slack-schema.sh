#!/bin/sh
# Makes sandbox/slacktypes/schema.json anew from Slack's own published types. Run it when Slack publishes new ones, with the
# new version below; the tests use the file as it is committed.
set -eu

types=2.22.0
generator=2.4.0

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --ignore-scripts --silent "@slack/types@$types" "ts-json-schema-generator@$generator"
cat >roots.ts <<'TS'
import { KnownBlock, HomeView, ModalView } from "@slack/types";
export interface Roots { blocks: KnownBlock[]; home: HomeView; modal: ModalView }
TS
node_modules/.bin/ts-json-schema-generator --path roots.ts --type Roots --no-type-check --out full.json
TYPES=$types node -e '
const fs = require("fs");
// "description" is a name of properties too: only texts are left out.
const strip = (o) => Array.isArray(o) ? o.map(strip) : o && typeof o === "object"
  ? Object.fromEntries(Object.keys(o).sort().filter((k) => !(k === "description" && typeof o[k] === "string")).map((k) => [k, strip(o[k])])) : o;
const made = `Made by scripts/slack-schema.sh from @slack/types ${process.env.TYPES} (MIT, Slack Technologies). Do not edit.`;
const schema = { $comment: made, ...strip(JSON.parse(fs.readFileSync("full.json"))) };
fs.writeFileSync(process.argv[1], JSON.stringify(schema, null, 1) + "\n");
' "$root/sandbox/slacktypes/schema.json"
echo "sandbox/slacktypes/schema.json is made from @slack/types $types"
