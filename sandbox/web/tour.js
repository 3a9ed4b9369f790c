// The tour: says what to do next, shows where, and waits until it has happened.

import { announce, by, h, redraw } from './dom.js'
import { tourGoes } from './acts.js'
import { mrkdwn } from './mrkdwn.js'
import { model, who } from './model.js'

let go // main's navigation: {be(name), open(place), fill(text), look(what)}
let away = false // the reader does not want it now
let was = ''

export function startTour(navigation) {
  go = navigation
  by('tour-button').addEventListener('click', () => {
    away = false
    if (model.screen.tour.at < 0) tourGoes('start')
    drawTour()
    by('tour').querySelector('button')?.focus()
  })
}

export function drawTour() {
  if (!model.screen) return
  const t = model.screen.tour
  const card = by('tour')
  by('tour-button').hidden = t.steps === 0
  card.hidden = t.steps === 0 || away
  by('page').classList.toggle('touring', !card.hidden)
  const now = t.step ? next(t.step) : null
  const stand = JSON.stringify([t, now, model.me, away])
  if (stand !== was) {
    was = stand
    draw(card, t, now)
  }
  mark(card.hidden ? null : now?.show())
}

function draw(card, t, now) {
  const button = (label, key, click, kind = '') => h('button', { type: 'button', class: 'button ' + kind, 'data-key': key, on: { click } }, label)
  if (t.at < 0) {
    redraw(card, h('h2', {}, t.title), h('div', { class: 'tour-text' }, mrkdwn(t.about, who())),
      h('div', { class: 'b-actions' }, button('Start the tour', 'go', () => tourGoes('start'), 'primary'), button('Not now', 'end', leave)))
    return
  }
  if (!t.step) {
    redraw(card, h('h2', {}, 'That was the tour'), h('p', { class: 'tour-text' }, 'Everything is yours now: play on as anybody you like.'),
      h('div', { class: 'b-actions' }, button('Close', 'end', end, 'primary'), button('Once more', 'go', () => tourGoes('start'))))
    return
  }
  const s = t.step
  const key = `${t.at} ${s.title}`
  if (card.dataset.step !== key) announce(`Step ${t.at + 1} of ${t.steps}: ${s.title}`)
  card.dataset.step = key
  redraw(card,
    h('p', { class: 'quiet' }, `Step ${t.at + 1} of ${t.steps}`), h('progress', { value: t.at, max: t.steps, 'aria-label': 'Progress of the tour' }),
    h('h2', {}, s.title), h('div', { class: 'tour-text' }, mrkdwn(s.text, who())),
    h('div', { class: 'b-actions' },
      now.label && button(now.label, 'go', now.act, 'primary'),
      !now.label && now.say && h('p', { class: 'todo' }, now.say),
      h('span', { class: 'tour-ends' }, button('Skip', 'skip', () => tourGoes('next')), button('End', 'end', end))))
}

// leave puts the card away on this page; other pages may go on.
function leave() {
  away = true
  drawTour()
}

function end() {
  tourGoes('end')
  leave()
}

const buttonNamed = (area, label) => [...area.querySelectorAll('button')].filter(b => b.textContent === label && b.checkVisibility()).at(-1)

function unfold(label) {
  for (const b of by('panes').querySelectorAll('button')) if (b.textContent === label) b.closest('details').open = true
}

// next says what is to be done now within a step: in words or as a button that does it, and where.
function next(s) {
  const side = by('side')
  const narrow = getComputedStyle(by('show-side')).display !== 'none' && by('show-side').checkVisibility()
  const inSide = s.press && [...side.querySelectorAll('#panes button')].some(b => b.textContent === s.press)
  if (s.person && s.person !== model.me) {
    return { label: `Be ${s.person}`, act: () => go.be(s.person, s.place), show: () => document.querySelector(`[data-person="${s.person}"]`) }
  }
  if (inSide && narrow && by('page').dataset.showing !== 'side') return { label: 'Look behind the scenes', act: () => go.look('side'), show: () => by('show-side') }
  if (!inSide && narrow && by('page').dataset.showing !== 'slack') return { label: 'Back to Slack', act: () => go.look('slack'), show: () => by('show-slack') }
  if (s.place && !go.at(s.place)) return { label: s.place === 'app' ? 'Go to prodaccess' : s.place === 'home' ? 'Go Home' : `Go to #${s.place}`, act: () => go.open(s.place), show: () => go.link(s.place) }
  if (s.type && by('say').value.trim() !== s.type) return { label: 'Write it for me', act: () => go.fill(s.type), show: () => by('say') }
  if (s.type) return { say: 'Press Send', show: () => by('send') }
  if (s.press) {
    const modal = by('modals')
    const area = inSide ? by('panes') : modal.hidden ? by('main') : modal
    if (inSide) unfold(s.press)
    if (buttonNamed(area, s.press)) return { say: `Press ${s.press}`, show: () => buttonNamed(area, s.press) }
  }
  if (s.manual) return { label: 'Next', act: () => tourGoes('next'), show: () => null }
  return { say: 'Waiting for it to happen…', show: () => null }
}

// mark draws the eye to one element.
function mark(node) {
  for (const old of document.querySelectorAll('.hint')) if (old !== node) old.classList.remove('hint')
  if (!node || node.classList.contains('hint')) return
  node.classList.add('hint')
  node.scrollIntoView({ block: 'nearest' })
}
