// A menu whose choices the app gives while one types: https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element#external_select

import { h } from './dom.js'

let serial = 0

export function combobox(c, attrs) {
  const several = c.e.type.startsWith('multi_')
  const id = 'c' + ++serial
  const least = c.e.min_query_length ?? 3
  let options = []
  let active = -1
  let asked = 0
  let waiting
  const held = several ? (c.held.selected_options ?? []) : c.held.selected_option ? [c.held.selected_option] : []
  const shown = several ? '' : (held[0]?.text.text ?? '')

  const list = h('div', { role: 'listbox', id, class: 'choices', hidden: true, 'aria-label': c.label })
  const field = h('input', {
    ...attrs, type: 'text', role: 'combobox', 'aria-expanded': 'false', 'aria-controls': id, 'aria-autocomplete': 'list', autocomplete: 'off',
    placeholder: c.e.placeholder?.text ?? 'Type to search…', value: shown,
    on: {
      input: () => ask(200),
      focus: () => { field.select(); if (least === 0) ask(0, '') },
      blur: () => setTimeout(() => { close(); if (!several) field.value = shown }, 150),
      keydown(event) {
        if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
          event.preventDefault()
          if (list.hidden) return ask(0)
          move(event.key === 'ArrowDown' ? 1 : -1)
        } else if (event.key === 'Enter') {
          event.preventDefault()
          if (!list.hidden && options[active]) choose(options[active])
        } else if (event.key === 'Escape' && !list.hidden) {
          event.stopPropagation()
          close()
        }
      },
    },
  })

  function ask(after, text = field.value) {
    clearTimeout(waiting)
    if (text.length < least) return close()
    waiting = setTimeout(async () => {
      const mine = ++asked
      const said = await c.send('suggest', { text })
      if (mine !== asked || document.activeElement !== field) return
      options = said.options ?? []
      active = options.length ? 0 : -1
      draw()
    }, after)
  }

  function draw() {
    list.hidden = false
    field.setAttribute('aria-expanded', 'true')
    list.replaceChildren(...(options.length ? options.map((o, i) => h('div', {
      role: 'option', id: `${id}-${i}`, class: 'choice', 'aria-selected': String(i === active),
      on: { mousedown: event => { event.preventDefault(); choose(o) } },
    }, o.text.text, o.description && h('span', { class: 'quiet described' }, o.description.text))) : [h('div', { class: 'choice quiet' }, 'No results')]))
    field.setAttribute('aria-activedescendant', active < 0 ? '' : `${id}-${active}`)
  }

  function move(by) {
    active = (active + by + options.length) % options.length
    draw()
    list.children[active]?.scrollIntoView({ block: 'nearest' })
  }

  function close() {
    list.hidden = true
    field.setAttribute('aria-expanded', 'false')
  }

  function choose(o) {
    close()
    if (!several) field.value = o.text.text
    c.choose(several ? [...held.filter(one => one.value !== o.value).map(one => one.value), o.value] : [o.value])
  }

  const chips = several && held.map(o => h('span', { class: 'chip' }, o.text.text,
    h('button', { type: 'button', class: 'plain', 'aria-label': `Remove ${o.text.text}`, on: { click: () => c.choose(held.filter(one => one !== o).map(one => one.value)) } }, '✕')))
  return h('div', { class: 'combobox' }, chips, field, list)
}
