// Package browser drives a real Chromium in tests, over the DevTools protocol. It is small on purpose: what a person does
// with a mouse and a keyboard, what they see, and what went wrong behind it.
//
// # What is promised
//
// [Start] runs one headless browser with a profile of its own; [Browser.Close] ends every process of it and removes the
// profile. A [Page] is one tab: what is pressed is found by its role and the name that a screen reader would say, and pressed
// with the mouse at its middle, so that a thing that is covered or off the screen is not pressed. Waits look at the page
// again and again until the context ends; their errors say what the page shows then. A page keeps every console error,
// exception and failed request ([Page.Trouble]), and every address it asked ([Page.Requests]).
//
// Nothing here is used by `prodaccess serve`.
package browser
