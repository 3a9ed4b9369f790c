// The dialog that asks before something is done: https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object

import { h } from './dom.js'
import { plainText, textObject } from './mrkdwn.js'

export function confirmed(c, who) {
  return new Promise(resolve => {
    const box = h('dialog', { class: 'confirm', 'aria-labelledby': 'confirm-title' },
      h('h2', { id: 'confirm-title' }, plainText(c.title.text)),
      h('div', {}, textObject(c.text, who)),
      h('div', { class: 'b-actions end' },
        h('button', { type: 'button', class: 'button', on: { click: () => box.close('no') } }, plainText(c.deny.text)),
        h('button', { type: 'button', class: 'button ' + (c.style ?? 'primary'), on: { click: () => box.close('yes') } }, plainText(c.confirm.text))))
    box.addEventListener('close', () => {
      box.remove()
      resolve(box.returnValue === 'yes')
    })
    document.body.append(box)
    box.showModal()
  })
}
