// The box people write in: commands with help and history, and ordinary messages.

import { announce, by, h } from './dom.js'
import { act } from './acts.js'
import { channel, model } from './model.js'
import { drawTour } from './tour.js'

let back = 0 // how far in the history
let active = -1
let choices = []

const field = () => by('say')

export function makeComposer() {
  const list = h('div', { id: 'hints', role: 'listbox', class: 'choices up', hidden: true, 'aria-label': 'Commands' })
  const input = h('input', {
    id: 'say', type: 'text', role: 'combobox', 'aria-expanded': 'false', 'aria-controls': 'hints', 'aria-autocomplete': 'list', autocomplete: 'off',
    spellcheck: 'false', maxlength: 4000, on: { input: hint, keydown: keys, blur: () => setTimeout(hide, 150) },
  })
  by('composer').append(list, h('div', { class: 'write' },
    h('button', { type: 'button', class: 'plain', id: 'slash', 'aria-label': 'Commands', title: 'Commands', on: { click: () => start() } }, '/'),
    input, h('button', { type: 'submit', class: 'button primary', id: 'send' }, 'Send')))
  by('composer').addEventListener('submit', send)
}

// drawComposer names the place that is written to.
export function drawComposer() {
  const c = channel()
  const text = c.direct ? 'Message prodaccess' : `Message #${c.name}`
  const input = field()
  input.setAttribute('aria-label', `${text}, or ${model.screen.command} for a command`)
  input.placeholder = `${text} — or type ${model.screen.command}`
  input.disabled = c.archived
}

export function fill(text) {
  field().value = text
  field().focus()
  hide()
  drawTour()
}

function start() {
  field().value = '/'
  field().focus()
  hint()
}

async function send(event) {
  event.preventDefault()
  const text = field().value.trim()
  if (!text) return
  field().value = ''
  hide()
  back = 0
  if (model.history.at(-1) !== text) model.history.push(text)
  const c = channel()
  const said = await act(text.startsWith('/') ? 'command' : 'say', { channel: c.id, text })
  if (said.error && !said.failure && !field().value) field().value = text
  drawTour()
}

// hint offers what could be typed.
function hint() {
  drawTour()
  const typed = field().value
  const command = model.screen.command
  const past = [...new Set(model.history.filter(line => line.startsWith('/')).reverse())].slice(0, 4)
  choices = !typed.startsWith('/') ? [] : [
    { text: command, about: 'open the form' }, { text: command + ' help', about: 'what it can do' }, ...past.map(text => ({ text, about: 'typed before' })),
  ].filter((c, i, all) => c.text.startsWith(typed) && c.text !== typed && all.findIndex(o => o.text === c.text) === i)
  active = -1
  show()
}

function show() {
  const list = by('hints')
  list.hidden = choices.length === 0
  field().setAttribute('aria-expanded', String(!list.hidden))
  field().setAttribute('aria-activedescendant', active < 0 ? '' : `hint-${active}`)
  list.replaceChildren(...choices.map((c, i) => h('div', {
    role: 'option', id: `hint-${i}`, class: 'choice', 'aria-selected': String(i === active), on: { mousedown: event => { event.preventDefault(); fill(c.text) } },
  }, h('code', {}, c.text), h('span', { class: 'quiet' }, ' ' + c.about))))
}

function hide() {
  choices = []
  active = -1
  show()
}

function keys(event) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
  if (step && choices.length) {
    event.preventDefault()
    active = (active + step + choices.length) % choices.length
    show()
  } else if (event.key === 'Tab' && choices.length && !event.shiftKey) {
    event.preventDefault()
    fill(choices[Math.max(active, 0)].text)
  } else if (event.key === 'Enter' && active >= 0) {
    event.preventDefault()
    fill(choices[active].text)
  } else if (event.key === 'Escape' && choices.length) {
    hide()
  } else if (step && model.history.length && (field().value === '' || back > 0)) {
    event.preventDefault()
    back = Math.min(Math.max(back - step, 0), model.history.length)
    field().value = back === 0 ? '' : model.history.at(-back)
    announce(field().value)
    drawTour()
  } else if (event.key.length === 1) {
    back = 0
  }
}
