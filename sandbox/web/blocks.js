// Block Kit as elements: https://docs.slack.dev/reference/block-kit/blocks

import { h } from './dom.js'
import { mrkdwn, plainText, textObject, anchor } from './mrkdwn.js'
import { control } from './elements.js'

// blocks draws a list of blocks. ctx: who resolves ids; spot is {channel, ts} or {view}; state and errors are the view's.
export const blocks = (list, ctx) => (list ?? []).map(b => block(b, ctx))

function block(b, ctx) {
  switch (b.type) {
    case 'header':
      return h('h' + (ctx.level ?? 3), { class: 'b-header' }, plainText(b.text.text))
    case 'divider':
      return h('hr', {})
    case 'section':
      return section(b, ctx)
    case 'context':
      return h('div', { class: 'b-context' }, b.elements.map(e => (e.type === 'image' ? picture(e) : h('span', {}, textObject(e, ctx.who)))))
    case 'actions':
      return h('div', { class: 'b-actions' }, b.elements.map(e => control(e, b, ctx)))
    case 'input':
      return input(b, ctx)
    case 'image':
      return h('div', { class: 'b-image' }, b.title && h('p', {}, plainText(b.title.text)), picture(b))
    case 'markdown':
      return h('div', { class: 'b-section' }, plainText(b.text))
    case 'rich_text':
      return h('div', { class: 'b-rich' }, b.elements.map(e => rich(e, ctx)))
  }
  return h('p', { class: 'quiet' }, `(a block of type ${b.type})`)
}

// Nothing is loaded from elsewhere, so a picture is its words.
const picture = e => h('span', { class: 'picture', role: 'img', 'aria-label': e.alt_text }, '🖼 ' + e.alt_text)

function section(b, ctx) {
  const accessory = b.accessory && (b.accessory.type === 'image' ? picture(b.accessory) : control(b.accessory, b, ctx))
  return h('div', { class: 'b-section' + (accessory ? ' with' : '') },
    h('div', { class: 'b-words' },
      b.text && h('div', {}, textObject(b.text, ctx.who)),
      b.fields && h('div', { class: 'b-fields' }, b.fields.map(f => h('div', {}, textObject(f, ctx.who))))),
    accessory && h('div', { class: 'b-accessory' }, accessory))
}

let serial = 0

function input(b, ctx) {
  const id = 'f' + ++serial
  const wrong = ctx.errors?.[b.block_id]
  const several = ['checkboxes', 'radio_buttons', 'multi_static_select', 'multi_users_select', 'multi_channels_select', 'multi_conversations_select'].includes(b.element.type)
  const told = [b.hint && id + 'h', wrong && id + 'e'].filter(Boolean).join(' ') || null
  const label = [...plainText(b.label.text), b.optional && h('span', { class: 'quiet' }, ' (optional)')]
  const field = control(b.element, b, { ...ctx, field: { id, told, wrong: Boolean(wrong), label: b.label.text, required: !b.optional } })
  const below = [b.hint && h('p', { class: 'hint-text', id: id + 'h' }, plainText(b.hint.text)), wrong && h('p', { class: 'wrong', id: id + 'e' }, wrong)]
  if (several) return h('fieldset', { class: 'b-input', 'aria-describedby': told }, h('legend', {}, label), field, below)
  return h('div', { class: 'b-input' }, h('label', { for: id }, label), field, below)
}

function rich(e, ctx) {
  const inside = () => (e.elements ?? []).map(one => richPiece(one, ctx))
  switch (e.type) {
    case 'rich_text_preformatted':
      return h('pre', { tabindex: '0' }, h('code', {}, inside()))
    case 'rich_text_quote':
      return h('blockquote', {}, inside())
    case 'rich_text_list':
      return h(e.style === 'ordered' ? 'ol' : 'ul', {}, (e.elements ?? []).map(one => h('li', {}, rich(one, ctx))))
  }
  return h('div', {}, inside())
}

function richPiece(e, ctx) {
  let nodes = []
  if (e.type === 'text') nodes = plainText(e.text ?? '')
  else if (e.type === 'link') nodes = anchor(e.url ?? '', [e.text ?? e.url ?? ''])
  else if (e.type === 'emoji') nodes = plainText(`:${e.name}:`)
  else if (e.type === 'user') nodes = mrkdwn(`<@${e.user_id}>`, ctx.who)
  else if (e.type === 'usergroup') nodes = mrkdwn(`<!subteam^${e.usergroup_id}>`, ctx.who)
  else if (e.type === 'channel') nodes = mrkdwn(`<#${e.channel_id}>`, ctx.who)
  else if (e.type === 'broadcast') nodes = mrkdwn(`<!${e.range}>`, ctx.who)
  else if (e.type === 'date') nodes = mrkdwn(`<!date^${e.timestamp}^${e.format}|${e.fallback ?? ''}>`, ctx.who)
  else if (e.elements) nodes = [rich(e, ctx)]
  for (const [style, tag] of [['code', 'code'], ['bold', 'strong'], ['italic', 'em'], ['strike', 's']]) if (e.style?.[style]) nodes = [h(tag, {}, nodes)]
  return nodes
}
