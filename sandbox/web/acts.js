// Everything the person does goes to the workspace through here.

import { alarm } from './dom.js'
import { model } from './model.js'

async function post(path, body) {
  try {
    const response = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    if (!response.ok) return { error: (await response.text()) || response.statusText }
    return await response.json()
  } catch {
    return { error: 'The sandbox does not answer. Is it still running?' }
  }
}

// unsent are fields that have something to tell and wait for it to be whole.
export const unsent = new Set()

const underWay = new Set()

// settled has everything told that a field holds. What a person does next may take the field off the screen.
async function settled() {
  for (const tell of [...unsent]) tell()
  await Promise.allSettled([...underWay])
}

// act does something as the person at the screen. What went wrong is shown; the answer says it too.
export async function act(name, body) {
  if (name !== 'choose') await settled()
  const doing = post(`/page/people/${encodeURIComponent(model.me)}/${name}`, body)
  if (name === 'choose') underWay.add(doing)
  const said = await doing
  underWay.delete(doing)
  if (said.failure) alarm(`The app failed with the error “${said.failure}”. In Slack this person would see the same.`)
  else if (said.error) alarm(said.error)
  return said
}

export const tourGoes = what => post('/page/tour', { do: what })

export const paneActs = (pane, action) => post(`/page/panes/${pane}/${action}`, { person: model.me })
