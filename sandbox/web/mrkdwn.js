// Slack's mrkdwn as nodes. Whatever stands in a text, it can only become one of the elements made here.

import { h } from './dom.js'
import { stamp } from './dates.js'

const unescape = text => text.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&')

const shortcodes = {
  white_check_mark: '✅', x: '❌', warning: '⚠️', hourglass_flowing_sand: '⏳', hourglass: '⌛', lock: '🔒', unlock: '🔓', key: '🔑',
  no_entry: '⛔', rotating_light: '🚨', wave: '👋', tada: '🎉', eyes: '👀', bell: '🔔', fire: '🔥', broken_heart: '💔', memo: '📝',
  large_green_circle: '🟢', red_circle: '🔴', large_yellow_circle: '🟡', white_circle: '⚪', information_source: 'ℹ️', link: '🔗', bulb: '💡',
}
const emoji = text => text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => shortcodes[name] ?? whole)

// mrkdwn turns a text as the app wrote it into nodes. who holds people, channels and groups by id, and the reader's zone.
export function mrkdwn(text, who) {
  const out = []
  const pieces = text.split('```')
  pieces.forEach((piece, i) => {
    if (i % 2 === 1 && i < pieces.length - 1) {
      out.push(h('pre', { tabindex: '0' }, h('code', {}, unescape(piece.replace(/^\n|\n$/g, '')))))
      return
    }
    if (i % 2 === 1) piece = '```' + piece
    // A block ends its line itself: no empty line before or after it.
    if (out.at(-1)?.tagName === 'PRE') piece = piece.replace(/^\n/, '')
    if (i + 1 < pieces.length - 1) piece = piece.replace(/\n$/, '')
    out.push(...lines(piece, who))
  })
  return out
}

function lines(text, who) {
  const out = []
  let quote = null
  text.split('\n').forEach((line, i) => {
    const quoted = /^(&gt;|>) ?/.exec(line)
    if (quoted) {
      if (!quote) out.push((quote = h('blockquote', {})))
      else quote.append(h('br'))
      quote.append(...inline(line.slice(quoted[0].length), who))
      return
    }
    if (i > 0 && !quote) out.push(h('br'))
    quote = null
    out.push(...inline(line, who))
  })
  return out
}

const styles = { '*': 'strong', _: 'em', '~': 's' }
const word = /[\p{L}\p{N}]/u

// inline reads one line, or a part of one.
function inline(text, who) {
  const out = []
  let plain = ''
  const flush = () => {
    if (plain) out.push(emoji(unescape(plain)))
    plain = ''
  }
  for (let i = 0; i < text.length; ) {
    const c = text[i]
    const end = c === '`' ? text.indexOf('`', i + 1) : c === '<' ? text.indexOf('>', i) : styles[c] ? closing(text, i) : -1
    if (end > i + 1) {
      const inside = text.slice(i + 1, end)
      flush()
      if (c === '`') out.push(h('code', {}, unescape(inside)))
      else if (c === '<') out.push(...reference(inside, who))
      else out.push(h(styles[c], {}, inline(inside, who)))
      i = end + 1
      continue
    }
    plain += c
    i++
  }
  flush()
  return out
}

// closing finds where a style that opens at i ends: not inside of code or a reference, and at the edge of a word.
function closing(text, i) {
  const mark = text[i]
  if ((i > 0 && (word.test(text[i - 1]) || text[i - 1] === mark)) || /\s/.test(text[i + 1] ?? ' ') || text[i + 1] === mark) return -1
  for (let j = i + 1; j < text.length; j++) {
    if (text[j] === '`' || text[j] === '<') {
      const over = text.indexOf(text[j] === '`' ? '`' : '>', j + 1)
      if (over > 0) j = over
      continue
    }
    if (text[j] === mark && !/\s/.test(text[j - 1]) && !word.test(text[j + 1] ?? ' ') && text[j + 1] !== mark) return j
  }
  return -1
}

const mention = (name, mine) => [h('span', { class: mine ? 'mention mine' : 'mention' }, name)]

// reference reads what stands between < and >.
function reference(inner, who) {
  const bar = inner.indexOf('|')
  const target = bar < 0 ? inner : inner.slice(0, bar)
  const label = bar < 0 ? '' : inner.slice(bar + 1)
  if (target.startsWith('@')) {
    const person = who.people.get(target.slice(1))
    return mention('@' + (person ? person.name : label || target.slice(1)), person && person.id === who.me.id)
  }
  if (target.startsWith('#')) return mention('#' + (who.channels.get(target.slice(1))?.name ?? (label || target.slice(1))))
  if (target.startsWith('!subteam^')) return mention('@' + (who.groups.get(target.slice(9))?.handle ?? (label || 'group')))
  if (target.startsWith('!date^')) {
    const [, unix, format, link] = target.split('^')
    const node = stamp(Number(unix), unescape(format ?? ''), unescape(label), who.zone)
    return link ? anchor(unescape(link), [node]) : [node]
  }
  if (target.startsWith('!')) return mention('@' + (label || target.slice(1)), true)
  return anchor(unescape(target), [emoji(unescape(label || target))])
}

// anchor makes a link of what may be one, and text of everything else: javascript:, data: and their like.
export function anchor(url, children) {
  if (!/^(https?:\/\/|mailto:)/i.test(url)) return children
  return [h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, children)]
}

// textObject is a plain_text or mrkdwn object.
export function textObject(o, who) {
  if (!o) return []
  if (o.type === 'mrkdwn') return mrkdwn(o.text, who)
  return plainText(o.text)
}

// plainText keeps line breaks and nothing else.
export function plainText(text) {
  const out = []
  emoji(text).split('\n').forEach((line, i) => {
    if (i > 0) out.push(h('br'))
    out.push(line)
  })
  return out
}
