// Light and dark: as the system has it, or as the reader says.

import { by } from './dom.js'

const order = ['auto', 'light', 'dark']
const words = { auto: 'as the system has them', light: 'light', dark: 'dark' }

function set(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  by('theme').setAttribute('aria-label', `Colours: ${words[theme]}`)
  by('theme').title = `Colours: ${words[theme]}`
  by('theme').dataset.theme = theme
}

export function startTheme() {
  let theme = 'auto'
  try {
    theme = localStorage.getItem('theme') ?? 'auto'
  } catch {
    // a browser that keeps nothing
  }
  set(order.includes(theme) ? theme : 'auto')
  by('theme').addEventListener('click', () => {
    const next = order[(order.indexOf(by('theme').dataset.theme) + 1) % order.length]
    set(next)
    try {
      localStorage.setItem('theme', next)
    } catch {
      // a browser that keeps nothing
    }
  })
}
