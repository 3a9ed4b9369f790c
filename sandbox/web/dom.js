// Making and changing the document. Text reaches it as text nodes and attributes only, never as HTML.

// h makes an element. Properties: "on" holds listeners, "data" the data-* attributes, others are attributes; null and
// false leave an attribute out, true writes it empty. Children are nodes, strings, or arrays of them; null is nothing.
export function h(tag, props, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value == null || value === false) continue
    if (name === 'on') for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener)
    else if (name === 'data') Object.assign(node.dataset, value)
    else if (name === 'value' || name === 'checked' || name === 'selected') node[name] = value
    else node.setAttribute(name, value === true ? '' : String(value))
  }
  put(node, children)
  return node
}

function put(node, children) {
  for (const child of children) {
    if (child == null || child === false) continue
    if (Array.isArray(child)) put(node, child)
    else node.append(child)
  }
}

export const by = id => document.getElementById(id)

// keyed gives the element of a container that has data-key; keys hold what apps choose, so no selector is made of them.
export function keyed(container, key) {
  for (const node of container.querySelectorAll('[data-key]')) if (node.dataset.key === key) return node
  return null
}

// redraw replaces what a container holds. Focus, selection and scrolling stay where an element with the same data-key is
// there again.
export function redraw(container, ...children) {
  const held = document.activeElement
  const key = container.contains(held) ? held.dataset.key : undefined
  const marks = key && 'selectionStart' in held ? [held.selectionStart, held.selectionEnd] : null
  const top = container.scrollTop
  const fresh = document.createDocumentFragment()
  put(fresh, children)
  container.replaceChildren(fresh)
  container.scrollTop = top
  if (key === undefined) return
  const again = keyed(container, key)
  if (!again) return
  again.focus({ preventScroll: true })
  if (marks && marks[0] !== null && again.setSelectionRange) {
    try {
      again.setSelectionRange(...marks)
    } catch {
      // a field of a type that has no selection
    }
  }
}

// arrange makes the children of a container these nodes in this order and moves as few as it can, so that focus stays.
export function arrange(container, nodes) {
  const wanted = new Set(nodes)
  for (const child of [...container.children]) if (!wanted.has(child)) child.remove()
  nodes.forEach((node, i) => {
    if (container.children[i] !== node) container.insertBefore(node, container.children[i] ?? null)
  })
}

const canFocus = 'a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), textarea:not([disabled]), summary, [tabindex="0"]'

export const focusable = container => [...container.querySelectorAll(canFocus)].filter(node => node.checkVisibility())

// announce says something to people who listen to the page.
export function announce(text) {
  const live = by('live')
  live.replaceChildren()
  live.append(text)
}

// alarm shows that something went wrong, for as long as it takes to read.
export function alarm(text) {
  const note = h('div', { class: 'alert' }, h('span', {}, text),
    h('button', { type: 'button', class: 'plain', 'aria-label': 'Dismiss', on: { click: () => note.remove() } }, '✕'))
  by('alerts').append(note)
  setTimeout(() => note.remove(), 12000)
}
