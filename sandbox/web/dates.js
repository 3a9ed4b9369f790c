// Slack's date tokens, in the zone of the person who looks: https://docs.slack.dev/messaging/formatting-message-text#date-formatting

import { h } from './dom.js'

// zone is the time zone of a person; who has none of their own has the browser's.
export const zone = person => (person && person.tz && person.tz !== 'Etc/UTC' ? person.tz : undefined)

function parts(date, tz, options) {
  return new Intl.DateTimeFormat('en-GB', { timeZone: tz, ...options }).format(date)
}

const dayOf = (date, tz) => new Intl.DateTimeFormat('en-CA', { timeZone: tz, year: 'numeric', month: '2-digit', day: '2-digit' }).format(date)

// wallClock is what a clock on the wall of a zone shows, as fields for dates and times write it: 2026-01-31T23:59.
export function wallClock(unix, tz) {
  const p = Object.fromEntries(new Intl.DateTimeFormat('en-CA', {
    timeZone: tz, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
  }).formatToParts(new Date(unix * 1000)).map(part => [part.type, part.value]))
  return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`
}

// instantOf is the instant at which it shows that. Where clocks are put forward over it, it is the one as far beyond.
export function instantOf(text, tz) {
  const wanted = Date.parse(text + 'Z') / 1000
  const off = unix => Date.parse(wallClock(unix, tz) + 'Z') / 1000 - Math.floor(unix / 60) * 60
  const first = wanted - off(wanted)
  return wanted - off(first)
}

function near(date, tz, otherwise) {
  const now = Date.now()
  const day = dayOf(date, tz)
  if (day === dayOf(new Date(now), tz)) return 'today'
  if (day === dayOf(new Date(now - 864e5), tz)) return 'yesterday'
  if (day === dayOf(new Date(now + 864e5), tz)) return 'tomorrow'
  return otherwise
}

export function ago(date) {
  const seconds = Math.round((date.getTime() - Date.now()) / 1000)
  const size = Math.abs(seconds)
  const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
  if (size < 60) return format.format(seconds, 'second')
  if (size < 3600) return format.format(Math.round(seconds / 60), 'minute')
  if (size < 86400) return format.format(Math.round(seconds / 3600), 'hour')
  return format.format(Math.round(seconds / 86400), 'day')
}

const long = { day: 'numeric', month: 'long', year: 'numeric' }
const short = { day: 'numeric', month: 'short', year: 'numeric' }
const full = { weekday: 'long', ...long }

export function dated(unix, format, tz) {
  const date = new Date(unix * 1000)
  const say = {
    date_num: () => dayOf(date, tz),
    date: () => parts(date, tz, long),
    date_slash: () => parts(date, tz, { day: '2-digit', month: '2-digit', year: 'numeric' }),
    date_long: () => parts(date, tz, full),
    date_long_full: () => parts(date, tz, full),
    date_short: () => parts(date, tz, short),
    date_pretty: () => near(date, tz, parts(date, tz, long)),
    date_long_pretty: () => near(date, tz, parts(date, tz, full)),
    date_short_pretty: () => near(date, tz, parts(date, tz, short)),
    day_divider_pretty: () => near(date, tz, parts(date, tz, full)),
    time: () => parts(date, tz, { hour: '2-digit', minute: '2-digit' }),
    time_secs: () => parts(date, tz, { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
    ago: () => ago(date),
  }
  return format.replace(/\{(\w+)\}/g, (token, name) => (say[name] ? say[name]() : token))
}

// stamp is a moment in a text. Those that speak of "now" are kept true by tick.
export function stamp(unix, format, fallback, tz) {
  const date = new Date(unix * 1000)
  if (Number.isNaN(date.getTime())) return h('span', {}, fallback)
  const node = h('time', { datetime: date.toISOString(), title: parts(date, tz, { ...full, hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' }) },
    dated(unix, format, tz))
  node.redraw = () => {
    const text = dated(unix, format, tz)
    if (node.textContent !== text) node.textContent = text
  }
  return node
}

export const clock = (date, tz) => parts(date, tz, { hour: '2-digit', minute: '2-digit' })
export const clockSeconds = (date, tz) => parts(date, tz, { hour: '2-digit', minute: '2-digit', second: '2-digit' })

setInterval(() => {
  for (const node of document.querySelectorAll('time')) node.redraw?.()
}, 1000)
