// The elements of Block Kit that a person can use: https://docs.slack.dev/reference/block-kit/block-elements

import { h } from './dom.js'
import { act, unsent } from './acts.js'
import { confirmed } from './confirm.js'
import { instantOf, wallClock } from './dates.js'
import { combobox } from './combobox.js'
import { draft, model, write, written } from './model.js'
import { textObject } from './mrkdwn.js'

let serial = 0

// control draws one element of a block.
export function control(e, b, ctx) {
  const at = { ...ctx.spot, block: b.block_id, action: e.action_id }
  const c = {
    e, b, ctx, at,
    key: `${b.block_id}/${e.action_id}`,
    held: ctx.state?.[b.block_id]?.[e.action_id] ?? {},
    label: ctx.field?.label ?? e.accessibility_label ?? e.placeholder?.text ?? b.text?.text ?? e.action_id,
    // sends tells the workspace, with what is written in the view so far.
    send: (name, more) => act(name, { ...at, ...more, values: ctx.spot.view ? written(ctx.spot.view) : undefined }),
  }
  // choose gives the element a value; a person may take back what has to be confirmed.
  c.choose = async (chosen, undo) => {
    if (e.confirm && !(await confirmed(e.confirm, ctx.who))) return undo?.()
    await c.send('choose', { chosen })
  }
  const draw = kinds[e.type] ?? kinds[e.type.replace(/^multi_/, '')]
  return draw ? draw(c) : h('span', { class: 'quiet' }, `(an element of type ${e.type})`)
}

// attrs are what every field has, for the keyboard and for screen readers.
const attrs = c => ({
  'data-key': c.key, id: c.ctx.field?.id, 'aria-describedby': c.ctx.field?.told, 'aria-invalid': c.ctx.field?.wrong ? 'true' : null,
  'aria-label': c.ctx.field ? null : c.label, 'aria-required': c.ctx.field?.required ? 'true' : null,
})

const kinds = {
  button(c) {
    const node = h('button', {
      type: 'button', class: 'button ' + (c.e.style ?? ''), 'data-key': c.key, 'aria-label': c.e.accessibility_label,
      on: {
        async click() {
          if (c.e.confirm && !(await confirmed(c.e.confirm, c.ctx.who))) return
          if (c.e.url && /^https?:/i.test(c.e.url)) window.open(c.e.url, '_blank', 'noopener,noreferrer')
          node.classList.add('busy')
          await c.send('press', {})
          node.classList.remove('busy')
        },
      },
    }, textObject(c.e.text, c.ctx.who))
    return node
  },
  overflow(c) {
    const id = 'o' + ++serial
    const list = h('div', { class: 'overflow-list', role: 'menu', id, hidden: true }, c.e.options.map(o => h('button', {
      type: 'button', role: 'menuitem', class: 'plain',
      on: {
        async click() {
          show(false)
          if (c.e.confirm && !(await confirmed(c.e.confirm, c.ctx.who))) return
          await c.send('press', { option: o.value })
        },
      },
    }, textObject(o.text, c.ctx.who))))
    const open = h('button', {
      type: 'button', class: 'button', 'data-key': c.key, 'aria-haspopup': 'menu', 'aria-expanded': 'false', 'aria-controls': id, 'aria-label': 'More',
      on: { click: () => show(list.hidden) },
    }, '⋯')
    const show = yes => {
      list.hidden = !yes
      open.setAttribute('aria-expanded', String(yes))
      if (yes) list.firstChild.focus()
    }
    const node = h('span', {
      class: 'overflow',
      on: {
        focusout: event => node.contains(event.relatedTarget) || show(false),
        keydown(event) {
          const items = [...list.children]
          const i = items.indexOf(document.activeElement)
          if (event.key === 'Escape' && !list.hidden) {
            event.stopPropagation()
            show(false)
            open.focus()
          } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
            event.preventDefault()
            items.at((i + (event.key === 'ArrowDown' ? 1 : -1)) % items.length)?.focus()
          }
        },
      },
    }, open, list)
    return node
  },
  plain_text_input: c => textField(c, c.e.multiline ? 'textarea' : 'input', 'text'),
  number_input: c => textField(c, 'input', 'text', 'decimal'),
  email_text_input: c => textField(c, 'input', 'email'),
  url_text_input: c => textField(c, 'input', 'url'),
  static_select(c) {
    const value = c.held.selected_option?.value ?? ''
    const one = o => h('option', { value: o.value, selected: o.value === value }, o.text.text + (o.description ? ` — ${o.description.text}` : ''))
    if (c.e.type.startsWith('multi_')) return boxes(c, flat(c.e), (c.held.selected_options ?? []).map(o => o.value), 'checkbox')
    const rows = c.e.option_groups ? c.e.option_groups.map(g => h('optgroup', { label: g.label.text }, g.options.map(one))) : (c.e.options ?? []).map(one)
    return menu(c, rows, value)
  },
  external_select: c => combobox(c, attrs(c)),
  users_select: c => listed(c, 'user', model.screen.people.filter(p => !p.bot && !p.deleted).map(p => ({ value: p.id, text: { type: 'plain_text', text: p.realName } }))),
  conversations_select: c => listed(c, 'conversation', channelOptions()),
  channels_select: c => listed(c, 'channel', channelOptions()),
  checkboxes: c => boxes(c, c.e.options, (c.held.selected_options ?? []).map(o => o.value), 'checkbox'),
  radio_buttons: c => boxes(c, c.e.options, [c.held.selected_option?.value], 'radio'),
  datepicker: c => picker(c, 'date', c.held.selected_date ?? ''),
  timepicker: c => picker(c, 'time', c.held.selected_time ?? ''),
  datetimepicker(c) {
    const unix = c.held.selected_date_time
    const { zone } = c.ctx.who
    return picker(c, 'datetime-local', unix ? wallClock(unix, zone) : '', text => (text ? String(instantOf(text, zone)) : ''))
  },
}

const flat = e => e.options ?? (e.option_groups ?? []).flatMap(g => g.options)
const channelOptions = () => model.screen.channels.filter(c => !c.direct).map(c => ({ value: c.id, text: { type: 'plain_text', text: '#' + c.name } }))

// listed is a menu of people or channels.
function listed(c, what, options) {
  if (c.e.type.startsWith('multi_')) return boxes(c, options, c.held[`selected_${what}s`] ?? [], 'checkbox')
  const value = c.held[`selected_${what}`] ?? ''
  return menu(c, options.map(o => h('option', { value: o.value, selected: o.value === value }, o.text.text)), value)
}

function menu(c, rows, value) {
  const node = h('select', { ...attrs(c), on: { change: () => c.choose([node.value], () => (node.value = value)) } },
    h('option', { value: '', disabled: true, selected: value === '' }, c.e.placeholder?.text ?? 'Choose…'), rows)
  node.value = value
  return node
}

function boxes(c, options, chosen, type) {
  const name = 'n' + ++serial
  const group = h('div', { class: 'boxes', role: c.ctx.field ? null : 'group', 'aria-label': c.ctx.field ? null : c.label }, options.map((o, i) => h('label', { class: 'check' },
    h('input', {
      type, name, value: o.value, checked: chosen.includes(o.value), 'data-key': `${c.key}/${i}`,
      on: {
        change(event) {
          const picked = [...group.querySelectorAll('input')].filter(one => one.checked).map(one => one.value)
          c.choose(picked, () => (event.target.checked = !event.target.checked))
        },
      },
    }),
    h('span', {}, textObject(o.text, c.ctx.who), o.description && h('span', { class: 'quiet described' }, textObject(o.description, c.ctx.who))))))
  return group
}

// A date or a time is written in parts, each of which is a change to the browser. It is told once it is whole: after a pause, with
// Enter, when the field is left, or when the form is sent. Told sooner, what the app draws would take the field away under the keyboard.
const pause = 900

function picker(c, type, value, made = text => text) {
  let told = value
  let waiting
  const tell = () => {
    clearTimeout(waiting)
    unsent.delete(tell)
    if (node.value === told) return
    told = node.value
    return c.choose([made(node.value)], () => (told = node.value = value))
  }
  const node = h('input', {
    ...attrs(c), type, value,
    on: {
      change() {
        clearTimeout(waiting)
        unsent.add(tell)
        waiting = setTimeout(tell, pause)
      },
      blur: tell,
      keydown(event) {
        if (event.key !== 'Enter') return
        event.preventDefault()
        tell()
      },
    },
  })
  return node
}

// textField keeps what is written in the page until something is sent, as Slack's client does, except where the app asked
// to hear of it.
function textField(c, tag, type, mode) {
  const view = c.ctx.spot.view
  const hears = c.b.dispatch_action ? (c.e.dispatch_action_config?.trigger_actions_on ?? ['on_enter_pressed']) : []
  let waiting
  const tell = () => c.send('choose', { chosen: [node.value] })
  const node = h(tag, {
    ...attrs(c), type: tag === 'input' ? type : null, inputmode: mode, rows: tag === 'textarea' ? 3 : null,
    placeholder: c.e.placeholder?.text, maxlength: c.e.max_length ?? 3000, spellcheck: 'false',
    on: {
      input() {
        write(view, c.b.block_id, c.e.action_id, node.value)
        if (!hears.includes('on_character_entered')) return
        clearTimeout(waiting)
        waiting = setTimeout(tell, 250)
      },
      keydown(event) {
        if (event.key === 'Enter' && event.target.tagName === 'INPUT' && hears.includes('on_enter_pressed')) {
          event.preventDefault()
          tell()
        }
      },
    },
  })
  node.value = draft(view, c.b.block_id, c.e.action_id) ?? c.held.value ?? ''
  return node
}
