// The window an app opens over the workspace. Others of its stack lie below it.

import { announce, by, focusable, h, redraw } from './dom.js'
import { act } from './acts.js'
import { blocks } from './blocks.js'
import { model, topView, who, written } from './model.js'

let shown = null // id of the view in front
let was = '' // what it was drawn from
let before = null // what had the focus before the first view opened

export function drawModal() {
  const v = topView()
  const layer = by('modals')
  for (const id of ['sidebar', 'main']) by(id).inert = Boolean(v)
  layer.hidden = !v
  if (!v) {
    if (shown) giveBack()
    shown = null
    was = ''
    layer.replaceChildren()
    return
  }
  if (!shown) before = document.activeElement
  const wrong = model.wrong.get(v.id)?.hash === v.hash ? model.wrong.get(v.id).errors : null
  const errors = { ...v.errors, ...wrong }
  const now = JSON.stringify([v, errors, model.screen.views.length, model.me])
  if (now === was) return
  was = now
  if (v.id !== shown) {
    layer.replaceChildren(frame())
    if (shown) announce(v.title)
  }
  const box = layer.firstChild
  const held = box.contains(document.activeElement)
  fill(box, v, errors)
  if (v.id !== shown) enter(box, v)
  else if (held && !box.contains(document.activeElement)) box.focus()
  if (Object.keys(errors).length && wrong) box.querySelector('[aria-invalid="true"]')?.focus()
  shown = v.id
}

const frame = () => h('div', { class: 'modal', role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': 'modal-title', tabindex: '-1', on: { keydown: keys } },
  h('form', { novalidate: true, autocomplete: 'off', on: { submit } }, h('div', { class: 'modal-head' }), h('div', { class: 'modal-body', 'data-key': 'body' }), h('div', { class: 'modal-foot' })))

function fill(box, v, errors) {
  const [head, body, foot] = box.firstChild.children
  const deep = model.screen.views.length > 1
  redraw(head, h('img', { src: '/page/icon.svg', alt: '', width: 28, height: 28 }), h('h2', { id: 'modal-title' }, v.title), h('span', { class: 'grow' }),
    deep && h('span', { class: 'quiet' }, `window ${model.screen.views.length} of a stack`),
    h('button', { type: 'button', class: 'plain', 'data-key': 'x', 'aria-label': deep ? 'Close all' : 'Close', on: { click: () => close(deep) } }, '✕'))
  redraw(body, blocks(v.blocks, { who: who(), spot: { view: v.id }, state: v.state, errors, level: 3 }))
  foot.hidden = !v.submit && !v.close
  redraw(foot,
    v.close && h('button', { type: 'button', class: 'button', 'data-key': 'close', on: { click: () => close(false) } }, v.close),
    v.submit && h('button', { type: 'submit', class: 'button primary', 'data-key': 'submit', disabled: v.disabled }, v.submit))
}

function enter(box, v) {
  const wanted = v.blocks.flatMap(b => [b.element, b.accessory, ...(b.elements ?? [])].filter(e => e?.focus_on_load).map(e => `${b.block_id}/${e.action_id}`))[0]
  const body = box.querySelector('.modal-body')
  const first = focusable(body).find(node => (wanted ? node.dataset.key === wanted : node.matches('input, select, textarea')))
  ;(first ?? box).focus({ preventScroll: !wanted })
  if (!wanted) body.scrollTop = 0
}

function giveBack() {
  const there = before && before.isConnected && before !== document.body && before.checkVisibility()
  ;(there ? before : by('say'))?.focus({ preventScroll: true })
  before = null
}

const close = all => act('close', { view: topView()?.id, all })

async function submit(event) {
  event.preventDefault()
  const v = topView()
  const box = event.target
  if (!v || box.classList.contains('busy')) return
  box.classList.add('busy')
  const said = await act('submit', { view: v.id, values: written(v.id) })
  box.classList.remove('busy')
  if (!said.errors) return
  // The workspace may have redrawn the view meanwhile; what is wrong belongs to what is shown now.
  model.wrong.set(v.id, { hash: topView()?.hash, errors: said.errors })
  drawModal()
}

// keys keeps the focus in the window and closes it with Escape.
function keys(event) {
  const box = event.currentTarget
  if (event.key === 'Escape') {
    event.preventDefault()
    close(false)
  }
  if (event.key !== 'Tab') return
  const all = focusable(box)
  const edge = event.shiftKey ? all[0] : all.at(-1)
  if (document.activeElement === edge || document.activeElement === box) {
    if (document.activeElement === box && !event.shiftKey) return
    event.preventDefault()
    ;(event.shiftKey ? all.at(-1) : all[0])?.focus()
  }
}
