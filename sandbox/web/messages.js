// Messages: in a channel, and in the thread beside it.

import { arrange, by, h, redraw } from './dom.js'
import { act } from './acts.js'
import { blocks } from './blocks.js'
import { clock } from './dates.js'
import { mrkdwn, plainText, anchor } from './mrkdwn.js'
import { channel, inChannel, key, model, replies, who } from './model.js'

const hue = name => [...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 360, 7)

export function avatar(person, size = '') {
  if (person?.bot) return h('img', { class: 'avatar ' + size, src: '/page/icon.svg', alt: '' })
  const node = h('span', { class: 'avatar ' + size, 'aria-hidden': 'true' }, (person?.realName ?? '?').slice(0, 1))
  node.style.setProperty('--hue', hue(person?.name ?? '?'))
  return node
}

// words is a message in a few plain words, for people who listen.
export function words(m, w = who()) {
  const box = h('div', {}, m.text ? mrkdwn(m.text, w) : content(m, w))
  return box.textContent.trim().slice(0, 300)
}

function content(m, w) {
  const ctx = { who: w, spot: { channel: m.channel, ts: m.ts }, state: m.state, level: 4 }
  return [m.blocks?.length ? blocks(m.blocks, ctx) : m.text && h('div', { class: 'b-section' }, mrkdwn(m.text, w)), (m.attachments ?? []).map(a => attachment(a, ctx))]
}

const colours = { good: '#2eb67d', warning: '#ecb22e', danger: '#e01e5a' }

function attachment(a, ctx) {
  const colour = colours[a.color] ?? (/^#?[0-9a-f]{6}$/i.test(a.color ?? '') ? '#' + a.color.replace('#', '') : null)
  const text = a.text ?? (a.blocks ? '' : a.fallback)
  const node = h('div', { class: 'attachment' },
    a.pretext && h('p', {}, mrkdwn(a.pretext, ctx.who)),
    a.title && h('p', {}, h('strong', {}, a.title_link ? anchor(a.title_link, [a.title]) : a.title)),
    text && h('div', { class: 'b-section' }, mrkdwn(text, ctx.who)),
    a.fields && h('div', { class: 'b-fields' }, a.fields.map(f => h('div', {}, h('strong', {}, f.title), h('br'), mrkdwn(f.value ?? '', ctx.who)))),
    blocks(a.blocks, ctx),
    a.footer && h('div', { class: 'b-context' }, plainText(a.footer)))
  if (colour) node.style.setProperty('--bar', colour)
  return node
}

const drawn = new Map() // place and key to the element and what it was drawn from

function element(m, where, w) {
  const answers = where === 'thread' ? [] : replies(m)
  const stand = `${m.version} ${answers.length} ${answers.at(-1)?.ts} ${w.zone} ${w.me.id}`
  const known = drawn.get(where + key(m))
  if (known && known.stand === stand) return known.node
  const author = w.people.get(m.from)
  const id = `m-${where}-${key(m)}`
  const node = known?.node ?? h('article', { class: 'message', id, 'aria-labelledby': id + '-by' })
  node.classList.toggle('only', m.only)
  redraw(node,
    m.only && h('p', { class: 'only-you' }, '👁 Only visible to you'),
    avatar(author),
    h('div', { class: 'message-body' },
      h('p', { class: 'by', id: id + '-by' },
        h('strong', {}, author?.realName ?? m.from), author?.bot && h('span', { class: 'badge app' }, 'APP'), ' ',
        h('time', { class: 'quiet', datetime: new Date(Number(m.ts) * 1000).toISOString() }, clock(new Date(Number(m.ts) * 1000), w.zone)),
        m.version > 1 && h('span', { class: 'quiet edited' }, ' (edited)')),
      content(m, w),
      answers.length > 0 && h('button', { type: 'button', class: 'replies', 'data-key': 'replies', on: { click: () => openThread(m.ts) } },
        `${answers.length} ${answers.length === 1 ? 'reply' : 'replies'}`, h('span', { class: 'quiet' }, ' View thread')),
      where !== 'thread' && !m.only && answers.length === 0 && h('button', { type: 'button', class: 'reply-in plain', 'data-key': 'reply-in', on: { click: () => openThread(m.ts) } }, 'Reply in thread')))
  drawn.set(where + key(m), { node, stand })
  return node
}

export function forget() {
  drawn.clear()
}

// drawMessages shows a channel. The newest message stays in sight when it was.
export function drawMessages() {
  const box = by('messages')
  const c = channel()
  const list = inChannel(c.id)
  const w = who()
  const atEnd = box.dataset.channel !== c.id || box.scrollHeight - box.scrollTop - box.clientHeight < 80
  const first = box.dataset.channel !== c.id
  box.dataset.channel = c.id
  box.setAttribute('aria-label', c.direct ? 'Direct messages with prodaccess' : `Messages in #${c.name}`)
  arrange(box, list.length ? list.map(m => element(m, 'c', w)) : [empty(c)])
  if (atEnd && (first || !box.contains(document.activeElement) || document.activeElement === box)) box.scrollTop = box.scrollHeight
  const newest = list.at(-1)
  if (newest && c.unread > 0 && document.visibilityState === 'visible') act('read', { channel: c.id, ts: newest.ts })
}

let nothing
const empty = c => {
  nothing ??= h('p', { class: 'nothing' })
  nothing.textContent = c.direct ? 'Nothing yet. The app writes here when something is for you alone.' : `Nothing has been said in #${c.name} yet. Try ${model.screen.command} help below.`
  return nothing
}

export function openThread(ts) {
  model.thread = ts
  drawThread()
  by('thread').querySelector('.close-thread')?.focus()
}

export function closeThread() {
  const ts = model.thread
  model.thread = null
  drawThread()
  const c = channel()
  const parent = by(`m-c-${c.id}:${ts}`)
  parent?.querySelector('.replies, .reply-in')?.focus()
}

// drawThread shows the open thread, if one is.
export function drawThread() {
  const pane = by('thread')
  const c = channel()
  const list = model.thread && !model.place.home ? inChannel(c.id, model.thread) : []
  pane.hidden = list.length === 0
  by('main').classList.toggle('with-thread', list.length > 0)
  if (list.length === 0) {
    pane.replaceChildren()
    return
  }
  if (pane.dataset.thread !== c.id + model.thread || !pane.firstChild) {
    pane.dataset.thread = c.id + model.thread
    const field = h('input', { type: 'text', 'aria-label': 'Reply in the thread', placeholder: 'Reply…', maxlength: 3000 })
    pane.replaceChildren(
      h('div', { class: 'head' }, h('h2', {}, 'Thread', h('span', { class: 'quiet' }, c.direct ? ' prodaccess' : ' #' + c.name)), h('span', { class: 'grow' }),
        h('button', { type: 'button', class: 'plain close-thread', 'aria-label': 'Close the thread', on: { click: closeThread } }, '✕')),
      h('div', { class: 'messages', role: 'log', 'aria-live': 'off', 'aria-label': 'Messages of the thread', tabindex: '0' }),
      h('form', {
        class: 'composer', on: {
          async submit(event) {
            event.preventDefault()
            if (field.value.startsWith('/')) {
              field.setCustomValidity('Slack takes no slash commands in threads.')
              field.reportValidity()
              field.setCustomValidity('')
              return
            }
            const text = field.value
            field.value = ''
            if (text.trim()) await act('say', { channel: c.id, thread: pane.dataset.thread.slice(c.id.length), text })
          },
        },
      }, h('div', { class: 'write' }, field, h('button', { type: 'submit', class: 'button primary' }, 'Reply'))))
  }
  const w = who()
  const box = pane.querySelector('.messages')
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80
  arrange(box, list.map(m => element(m, 'thread', w)))
  if (atEnd) box.scrollTop = box.scrollHeight
}
