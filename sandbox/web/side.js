// Beside the workspace: the panes of whoever runs it, and what Slack and the app say to each other.

import { by, h, redraw } from './dom.js'
import { paneActs } from './acts.js'
import { clockSeconds } from './dates.js'
import { mrkdwn } from './mrkdwn.js'
import { model, who } from './model.js'
import { drawTour } from './tour.js'

const folded = new Map() // number of a pane to whether the reader folded it

let arrived = null // the pane whose output the reader has just asked for

// drawPanes shows every pane with the newest reading of it.
export function drawPanes() {
  by('side-title').textContent = model.screen.title
  by('side').setAttribute('aria-label', model.screen.title)
  redraw(by('panes'), model.screen.panes.map((p, i) => pane(p, i)))
  if (arrived === null || !model.screen.outputs[arrived]) return
  by('panes').children[arrived].querySelector('.output')?.scrollIntoView({ block: 'nearest' })
  arrived = null
}

function pane(p, i) {
  const got = model.panes.get(i)
  const out = model.screen.outputs[i]
  const details = h('details', { open: !(folded.get(i) ?? p.folded), on: { toggle: () => folded.set(i, !details.open) } },
    h('summary', { 'data-key': 'pane' + i }, h('h3', {}, p.title)),
    p.about && h('p', { class: 'about' }, mrkdwn(p.about, who())),
    got?.error && h('p', { class: 'wrong' }, got.error),
    (got?.tables ?? []).map(table),
    p.actions.length > 0 && h('div', { class: 'b-actions' }, p.actions.map((label, n) => button(label, i, n))),
    out && output(out))
  return h('section', { class: 'pane', 'aria-label': p.title }, details)
}

function button(label, i, n) {
  const node = h('button', {
    type: 'button', class: 'button', 'data-key': `act${i}/${n}`, on: {
      async click() {
        node.classList.add('busy')
        await paneActs(i, n)
        node.classList.remove('busy')
        arrived = i
        drawPanes()
      },
    },
  }, label)
  return node
}

const output = o => h('div', { class: 'output' + (o.failed ? ' failed' : '') },
  h('p', { class: 'quiet' }, `${o.person}: ${o.label}, ${clockSeconds(new Date(o.at), who().zone)}`),
  h('pre', { tabindex: '0', 'aria-label': 'What came of it' }, o.text))

// table is a table. On a narrow screen the style sets each row as lines, each with its column's name before it; the roles keep it
// a table for whoever hears it.
function table(t) {
  const rows = t.Rows ?? []
  return h('div', { class: 'table', tabindex: rows.length ? '0' : null, role: rows.length ? 'region' : null, 'aria-label': rows.length ? t.Caption : null },
    h('table', { role: 'table' },
      h('caption', {}, t.Caption),
      rows.length > 0 && h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, t.Columns.map(c => h('th', { scope: 'col', role: 'columnheader' }, c)))),
      h('tbody', { role: 'rowgroup' }, rows.length
        ? rows.map(r => h('tr', { role: 'row' }, r.map((cell, i) => h('td', { role: 'cell' }, h('span', { class: 'column', 'aria-hidden': 'true' }, t.Columns[i]), cell))))
        : h('tr', { role: 'row' }, h('td', { class: 'quiet', role: 'cell' }, t.Empty || 'none')))))
}

const most = 200

// hear adds entries to what was said.
export function hear(entries) {
  model.traffic.push(...entries)
  model.traffic.splice(0, model.traffic.length - most)
  const list = by('traffic')
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60
  for (const e of entries) list.append(entry(e))
  while (list.children.length > most) list.firstChild.remove()
  sift()
  if (atEnd) list.scrollTop = list.scrollHeight
}

export function forgetTraffic() {
  model.traffic.length = 0
  by('traffic').replaceChildren()
}

export function sift() {
  by('traffic').classList.toggle('all', by('traffic-all').checked)
  by('traffic-count').textContent = ` ${model.traffic.length} entries`
}

function entry(e) {
  const reply = e.kind === 'answer' || e.name === 'ack'
  const failed = e.status >= 400 || (e.kind === 'answer' && /"ok":\s*false/.test(e.body))
  const body = h('pre', { tabindex: '0', 'aria-label': 'The body' })
  const details = h('details', { on: { toggle: () => body.firstChild || body.append(pretty(e.body)) } },
    h('summary', {}, h('span', { class: 'way ' + e.from }, e.from === 'app' ? 'app →' : '→ app'), ' ', h('code', {}, e.name),
      e.status >= 400 && ` ${e.status}`, h('span', { class: 'quiet' }, ' ' + digest(e)), h('span', { class: 'at quiet' }, clockSeconds(new Date(e.at), who().zone))),
    body)
  return h('li', { class: [reply && !failed && 'reply', failed && 'failed'].filter(Boolean).join(' ') }, details)
}

function parsed(body) {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}

function pretty(body) {
  const o = parsed(body)
  return o ? JSON.stringify(inner(o), null, 2) : body
}

// inner opens JSON that is carried as a string.
function inner(o) {
  for (const field of ['view', 'blocks', 'attachments', 'metadata', 'payload']) {
    if (typeof o[field] === 'string') o[field] = parsed(o[field]) ?? o[field]
  }
  return o
}

// digest is an entry in a few words.
function digest(e) {
  const o = inner(parsed(e.body) ?? {})
  const p = o.payload ?? o
  const name = id => who().people.get(id)?.name ?? who().channels.get(id)?.name ?? ''
  const actions = p.actions?.[0]
  const words = [
    o.channel && typeof o.channel === 'string' && (name(o.channel) || 'direct message'), o.user_id && e.from === 'app' && name(o.user_id), o.text, o.view?.title?.text,
    p.command && `${p.user_name}: ${p.command} ${p.text ?? ''}`,
    actions && `${p.user?.name}: ${actions.text?.text ?? actions.action_id}`,
    p.type === 'view_submission' && `${p.user?.name} sends “${p.view?.title?.text}”`, p.type === 'view_closed' && `${p.user?.name} closes a window`,
    p.event?.type, o.error,
  ].filter(Boolean).join(' · ')
  return words.replace(/\s+/g, ' ').slice(0, 120)
}

export function startSide() {
  by('traffic-all').addEventListener('change', sift)
  for (const what of ['slack', 'side']) by('show-' + what).addEventListener('click', () => look(what))
}

// look chooses what a narrow screen shows.
export function look(what) {
  by('page').dataset.showing = what
  for (const one of ['slack', 'side']) by('show-' + one).setAttribute('aria-pressed', String(one === what))
  if (what === 'side') by('traffic').scrollTop = by('traffic').scrollHeight
  drawTour()
}
