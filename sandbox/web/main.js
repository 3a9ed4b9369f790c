// The page: one stream of what is in front of one person, drawn part by part.

import { alarm, announce, by, h, redraw } from './dom.js'
import { act } from './acts.js'
import { blocks } from './blocks.js'
import { drawComposer, fill, makeComposer } from './composer.js'
import { avatar, closeThread, drawMessages, drawThread, forget, words } from './messages.js'
import { drawModal } from './modal.js'
import { channel, direct, key, model, topView, who } from './model.js'
import { drawPanes, forgetTraffic, hear, look, startSide } from './side.js'
import { drawTour, startTour } from './tour.js'
import { startTheme } from './theme.js'

let stream
let fresh = true // the stream has not said anything yet
let wanted = '' // the place the address asks for, until it is known
let homeWas = ''

// connect listens for one person. The browser connects again by itself when the line breaks.
function connect(name) {
  stream?.close()
  model.me = name
  model.messages.clear()
  model.panes.clear()
  fresh = true
  const mine = (stream = new EventSource(`/page/people/${encodeURIComponent(name)}/stream`))
  mine.addEventListener('open', () => {
    if (mine !== stream) return
    // What comes next is everything anew.
    fresh = true
    model.messages.clear()
    forget()
    forgetTraffic()
    online(true)
  })
  mine.addEventListener('error', () => mine === stream && online(false))
  mine.addEventListener('screen', event => mine === stream && take(JSON.parse(event.data)))
  mine.addEventListener('traffic', event => mine === stream && hear(JSON.parse(event.data)))
  mine.addEventListener('pane', event => {
    if (mine !== stream) return
    const frame = JSON.parse(event.data)
    model.panes.set(frame.pane, frame)
    if (model.screen?.me.name === model.me) drawPanes()
    drawTour()
  })
}

function online(yes) {
  by('connection').textContent = yes ? '' : 'Reconnecting…'
  document.body.classList.toggle('offline', !yes)
}

// take shows what the stream says.
function take(screen) {
  const before = model.screen?.me.id === screen.me.id ? model.screen : null
  model.screen = screen
  for (const gone of screen.gone) model.messages.delete(gone)
  const added = screen.messages.filter(m => !model.messages.has(key(m)))
  for (const m of screen.messages) model.messages.set(key(m), m)
  if (!model.place || !before) settle()
  if (!model.place.home && !screen.channels.some(c => c.id === model.place.channel)) model.place = { channel: screen.channels[0].id }
  draw()
  if (!fresh) for (const m of added) if (m.from !== screen.me.id) tell(m)
  fresh = false
}

function tell(m) {
  const c = model.screen.channels.find(one => one.id === m.channel)
  announce(`${who().people.get(m.from)?.realName ?? ''} in ${c?.direct ? 'direct messages' : '#' + c?.name}: ${words(m)}`)
}

function draw() {
  by('workspace').textContent = model.screen.workspace
  drawSidebar()
  drawHead()
  drawHome()
  drawMessages()
  drawThread()
  drawComposer()
  drawModal()
  drawPanes()
  drawTour()
  const unread = model.screen.channels.reduce((sum, c) => sum + c.unread, 0)
  document.title = `${unread ? `(${unread}) ` : ''}${model.place.home ? 'Home' : channel().direct ? 'prodaccess' : '#' + channel().name} · ${model.screen.me.realName} · ${model.screen.workspace}`
}

const count = (n, of) => n > 0 && h('span', { class: 'badge', 'aria-label': `${n} unread${of}` }, String(n))

function drawSidebar() {
  const s = model.screen
  const people = s.people.filter(p => !p.bot && !p.deleted)
  const here = (c, home) => (home ? model.place.home : !model.place.home && model.place.channel === c.id)
  const row = c => h('li', {}, h('button', {
    type: 'button', class: 'row' + (c.unread ? ' unread' : ''), 'data-key': c.id, 'data-place': c.direct ? 'app' : c.name, 'aria-current': here(c) || (c.direct && model.place.home) ? 'page' : null,
    on: { click: () => open({ channel: c.id }) },
  }, c.direct ? h('img', { class: 'avatar small', src: '/page/icon.svg', alt: '' }) : h('span', { class: 'hash', 'aria-hidden': 'true' }, c.private ? '🔒' : '#'),
  h('span', { class: 'name' }, c.name), c.archived && h('span', { class: 'quiet' }, ' archived'), count(c.unread, '')))
  redraw(by('sidebar'),
    h('h2', {}, 'You are'),
    h('ul', {}, people.map(p => h('li', {}, h('button', {
      type: 'button', class: 'row person', 'data-key': p.id, 'data-person': p.name, 'aria-pressed': String(p.id === s.me.id), on: { click: () => be(p.name) },
    }, avatar(p, 'small'), h('span', { class: 'name' }, p.realName, p.title && h('span', { class: 'quiet described' }, p.title)), count(p.unread, ` for ${p.name}`))))),
    h('h2', {}, 'Channels'),
    h('ul', {}, s.channels.filter(c => !c.direct).map(row)),
    h('h2', {}, 'Apps'),
    h('ul', {}, s.channels.filter(c => c.direct).map(row)))
  const me = s.me
  redraw(by('whoami'), h('button', { type: 'button', class: 'plain me', 'data-key': 'me', 'aria-label': `You are ${me.realName}. Be somebody else`, on: { click: showMenu } }, avatar(me, 'small'), h('span', { class: 'name' }, me.realName)))
}

function drawHead() {
  const c = channel()
  const tab = (label, home) => h('button', {
    type: 'button', class: 'tab', 'data-key': 'tab' + label, 'data-tab': label, 'aria-current': Boolean(model.place.home) === home ? 'page' : null, on: { click: () => open(home ? { home: true } : { channel: c.id }) },
  }, label)
  redraw(by('head'), h('h1', {}, c.direct ? 'prodaccess' : [h('span', { 'aria-hidden': 'true' }, '# '), c.name]),
    c.direct ? h('div', { class: 'tabs' }, tab('Home', true), tab('Messages', false)) : h('span', { class: 'quiet' }, `${c.members - 1} people${c.archived ? ', archived' : ''}`))
}

function drawHome() {
  const home = Boolean(model.place.home)
  by('home').hidden = !home
  by('messages').hidden = home
  by('composer').hidden = home
  const stand = home ? JSON.stringify([model.screen.home, model.me]) : ''
  if (stand === homeWas) return
  homeWas = stand
  if (!home) return by('home').replaceChildren()
  const v = model.screen.home
  redraw(by('home'), v ? blocks(v.blocks, { who: who(), spot: { view: v.id }, state: v.state, level: 2 }) : h('p', { class: 'nothing' }, 'The app has not made your Home tab yet.'))
}

// open goes to a place: {channel} or {home: true}.
function open(place) {
  const wasHome = Boolean(model.place?.home)
  model.place = place
  model.thread = null
  if (place.home && !wasHome) act('home', { open: true })
  if (!place.home && wasHome) act('home', { open: false })
  remember()
  showMenu(false)
  draw()
  if (!by('page').dataset.showing.includes('slack')) look('slack')
}

// be makes the page another person's.
function be(name, place) {
  if (name !== model.me) {
    if (model.place?.home) act('home', { open: false })
    wanted = place ?? (model.place?.home ? 'app' : (channel()?.direct ? 'app' : channel()?.name) ?? '')
    model.thread = null
    connect(name)
    announce(`You are ${name} now`)
  }
  showMenu(false)
}

// settle finds the place to start at: what the address or the one before says.
function settle() {
  const s = model.screen
  const [, , place, ts] = location.hash.split('/')
  const name = wanted || decodeURIComponent(place ?? '')
  wanted = ''
  const c = name === 'app' ? direct() : s.channels.find(one => one.id === name || one.name === name)
  model.place = name === 'home' ? { home: true } : { channel: (c ?? s.channels.find(one => !one.direct && one.unread) ?? s.channels[0]).id }
  if (name === 'home') act('home', { open: true })
  if (ts && model.messages.has(`${model.place.channel}:${ts}`)) {
    const thread = model.messages.get(`${model.place.channel}:${ts}`).thread
    if (thread && thread !== ts) model.thread = thread
  }
  remember()
}

function remember() {
  const c = channel()
  history.replaceState(null, '', `#/${model.me}/${model.place.home ? 'home' : c.direct ? 'app' : encodeURIComponent(c.name)}`)
  try {
    sessionStorage.setItem('person', model.me)
  } catch {
    // a browser that keeps nothing
  }
}

function showMenu(yes = true) {
  const page = by('page')
  const open = yes !== false && !page.classList.contains('menu')
  page.classList.toggle('menu', open)
  by('menu').setAttribute('aria-expanded', String(open))
  if (open && by('menu').checkVisibility()) by('sidebar').querySelector('button')?.focus()
}

const places = {
  at: place => (place === 'home' ? Boolean(model.place.home) : !model.place.home && (place === 'app' ? channel().direct : channel().name === place)),
  link: place => (place === 'home' ? (document.querySelector('[data-tab=Home]') ?? document.querySelector('[data-place=app]')) : [...document.querySelectorAll('[data-place]')].find(node => node.dataset.place === place)),
  open: place => open(place === 'home' ? { home: true } : { channel: (place === 'app' ? direct() : model.screen.channels.find(c => c.name === place))?.id }),
}

document.addEventListener('keydown', event => {
  // Also when the focus is beside the workspace.
  if (event.key === 'Escape' && !event.defaultPrevented && topView() && !document.querySelector('dialog[open]')) {
    act('close', { view: topView().id })
    return
  }
  if (event.key === 'Escape' && model.thread && by('thread').contains(document.activeElement)) closeThread()
  if (event.key === 'Escape' && by('page').classList.contains('menu')) showMenu(false)
  if (event.key === 'F6') {
    event.preventDefault()
    const areas = [by('modals').hidden ? null : by('modals').firstChild, by('say'), by('sidebar').querySelector('button'), by('side').querySelector('button, summary')]
      .filter(node => node && node.checkVisibility() && !node.closest('[inert]'))
    const at = areas.findIndex(node => node === document.activeElement || node.closest('nav, aside, form, .modal')?.contains(document.activeElement))
    areas[(at + 1) % areas.length]?.focus()
  }
})
by('skip').addEventListener('click', event => {
  event.preventDefault()
  ;(model.place?.home ? by('home') : by('messages')).focus()
})
by('menu').addEventListener('click', () => showMenu())

// A new scene is a good moment to look at the page again: what was unread may be read now.
document.addEventListener('visibilitychange', () => model.screen && drawMessages())

async function start() {
  startTheme()
  makeComposer()
  startSide()
  startTour({ be, open: places.open, at: places.at, link: places.link, fill, look })
  const people = await (await fetch('/page/people')).json()
  const [, asked] = location.hash.split('/')
  let name = people.includes(asked) ? asked : ''
  try {
    name ||= sessionStorage.getItem('person')
  } catch {
    // a browser that keeps nothing
  }
  if (people.length === 0) return alarm('There is nobody in this workspace yet. Reload the page when there is.')
  connect(people.includes(name) ? name : people[0])
}

start()
