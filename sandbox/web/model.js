// What the page knows: what the stream said last, and where its person is looking.

export const model = {
  me: '', // the handle of the person at the screen
  place: null, // {channel} or {home: true}
  thread: null, // timestamp of the message whose thread is open
  screen: null,
  messages: new Map(), // channel:ts to message
  panes: new Map(), // number to {tables, error}
  traffic: [],
  drafts: new Map(), // view id to block to action to what is written there
  wrong: new Map(), // view id to block to what is wrong, as an answer to a submission said
  history: [], // lines sent, oldest first
}

export const key = m => m.channel + ':' + m.ts

// who resolves the ids in texts.
export function who() {
  const s = model.screen
  const index = list => new Map(list.map(one => [one.id, one]))
  return { me: s.me, people: index(s.people), channels: index(s.channels), groups: index(s.groups), zone: s.me.tz && s.me.tz !== 'Etc/UTC' ? s.me.tz : undefined }
}

export const direct = () => model.screen.channels.find(c => c.direct)
export const channel = () => (model.place.home ? direct() : model.screen.channels.find(c => c.id === model.place.channel))
export const topView = () => model.screen?.views.at(-1)

// inChannel lists the messages of a channel, oldest first: those of its thread, or those outside of threads.
export function inChannel(id, thread) {
  const out = [...model.messages.values()].filter(m => m.channel === id && (thread ? m.ts === thread || m.thread === thread : !m.thread || m.thread === m.ts || !model.messages.has(id + ':' + m.thread)))
  return out.sort((a, b) => (a.ts < b.ts ? -1 : 1))
}

export const replies = m => [...model.messages.values()].filter(r => r.channel === m.channel && r.thread === m.ts && r.ts !== m.ts)

export function written(view) {
  const out = {}
  for (const [block, actions] of model.drafts.get(view) ?? []) out[block] = Object.fromEntries(actions)
  return out
}

export function write(view, block, action, text) {
  if (!model.drafts.has(view)) model.drafts.set(view, new Map())
  const blocks = model.drafts.get(view)
  if (!blocks.has(block)) blocks.set(block, new Map())
  blocks.get(block).set(action, text)
}

export const draft = (view, block, action) => model.drafts.get(view)?.get(block)?.get(action)
