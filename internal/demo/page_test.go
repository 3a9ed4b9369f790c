package demo

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/browser"
	"github.com/prodaccess/prodaccess/internal/stage"
)

// newcomer is somebody at the demo's page in a real browser. The first thing that goes wrong fails the test and says what
// the page shows.
type newcomer struct {
	*testing.T
	ctx   context.Context
	page  *browser.Page
	shots string // name of the pictures; none are made when empty
	n     int
}

func (n *newcomer) must(err error) {
	n.Helper()
	if err != nil {
		n.shot("failed")
		n.Fatal(err)
	}
}

// soon bounds every wait.
func (n *newcomer) soon(do func(ctx context.Context) error) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.ctx, 90*time.Second)
	defer cancel()
	n.must(do(ctx))
}

func (n *newcomer) clicks(button string) {
	n.Helper()
	n.soon(func(ctx context.Context) error { return n.page.Clicks(ctx, "button", button) })
}

func (n *newcomer) sees(words string) {
	n.Helper()
	n.soon(func(ctx context.Context) error { return n.page.Sees(ctx, words) })
}

func (n *newcomer) waits(expression string) {
	n.Helper()
	n.soon(func(ctx context.Context) error { return n.page.Waits(ctx, expression) })
}

// step waits for a step of the tour, looks that nothing is wrong with the page then, and takes a picture of it.
func (n *newcomer) step(title string) {
	n.Helper()
	n.waits(fmt.Sprintf("document.querySelector('#tour h2').textContent === %q", title))
	n.fits()
	apart := false
	n.must(n.page.Eval(n.ctx, `new Set([...document.querySelectorAll('#tour [data-key=skip], #tour [data-key=end]')].filter(b => ['Skip', 'End'].includes(b.textContent)).map(b => Math.round(b.getBoundingClientRect().top))).size > 1`, &apart))
	if apart {
		n.Errorf("Skip and End are on two lines in step %q", title)
	}
	n.shot(title)
}

// fits fails when something sticks out to the side, or is hard to read.
func (n *newcomer) fits() {
	n.Helper()
	var wide []string
	n.must(n.page.Eval(n.ctx, `['html', 'body', '.page', '.top', '#main', '#head', '#messages', '#home', '#thread', '#composer', '.modal', '.modal-body', '#side', '#tour', '.pane']
		.flatMap(s => [...document.querySelectorAll(s)]).filter(e => e.checkVisibility() && (e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth + 1))
		.map(e => e.id + '.' + e.className + ' ' + e.scrollWidth + ' in ' + e.clientWidth)`, &wide))
	if len(wide) > 0 {
		n.shot("sideways")
		n.Errorf("these are wider than their place: %q", wide)
	}
	var hard []string
	n.must(n.page.Eval(n.ctx, faint, &hard))
	if len(hard) > 0 {
		n.shot("faint")
		n.Errorf("these are hard to read: %q", hard)
	}
}

// faint lists the words on the screen that stand out too little from what is behind them, by WCAG 2.2's 1.4.3.
const faint = `(() => {
	const rgba = text => {
		const n = (text.match(/[\d.]+/g) ?? []).map(Number)
		const [r, g, b, a = 1] = text.startsWith('color(') ? [n[0] * 255, n[1] * 255, n[2] * 255, n[3]] : n
		return [r, g, b, a]
	}
	const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1]
	const behind = node => {
		if (!node) return [255, 255, 255, 1]
		const own = rgba(getComputedStyle(node).backgroundColor)
		return own[3] === 1 ? own : over(own, behind(node.parentElement))
	}
	const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
	const out = new Set()
	for (const node of document.querySelectorAll('body *')) {
		if (![...node.childNodes].some(n => n.nodeType === 3 && /[\p{L}\p{N}]/u.test(n.data)) || !node.checkVisibility({ opacityProperty: true }) || node.closest('.hidden, .skip, .busy, :disabled, noscript, [inert]')) continue
		const style = getComputedStyle(node)
		const back = behind(node)
		const [hi, lo] = [light(over(rgba(style.color), back)), light(back)].sort((a, b) => b - a)
		const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700)
		const ratio = (hi + 0.05) / (lo + 0.05)
		if (ratio < (large ? 3 : 4.5)) out.add(ratio.toFixed(1) + ' ' + node.className + ' ' + node.textContent.slice(0, 40))
	}
	return [...out]
})()`

// shot takes a picture when SCREENSHOTS names a directory.
func (n *newcomer) shot(name string) {
	n.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	n.n++
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), 10*time.Second)
	defer cancel()
	if err := n.page.Screenshot(ctx, filepath.Join(dir, fmt.Sprintf("%s-%02d-%s.png", n.shots, n.n, name))); err != nil {
		n.Error(err)
	}
}

// fine fails when anything went wrong behind the page, when it asked anybody but the sandbox, or when something on it has
// no name.
func (n *newcomer) fine(url string) {
	n.Helper()
	for _, trouble := range n.page.Trouble() {
		n.Errorf("the page had trouble: %s", trouble)
	}
	for _, address := range n.page.Requests() {
		if !strings.HasPrefix(address, url) && !strings.HasPrefix(address, "data:") {
			n.Errorf("the page asked %s", address)
		}
	}
	nameless, err := n.page.Nameless(n.ctx)
	n.must(err)
	for _, node := range nameless {
		n.Errorf("nothing is said of %s", node)
	}
}

// TestThePage walks the whole tour in a real browser, on a large screen with a mouse and on a telephone, and makes one
// request with the keyboard alone. Everything behind the page is real: databases, bot, audit log.
func TestThePage(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	s, err := stage.Open(ctx, stage.Options{Binary: binary, Digest: "@every 10m", Sweep: "@every 30s", RateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	defer dress(s, cmp.Or(os.Getenv("TOUR_LASTS"), "15s"))()
	b, err := browser.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	url := s.Slack.URL() + "/"
	visit := func(t *testing.T, name, colours string, width, height int) *newcomer {
		p, err := b.Open(ctx, url+"#/ana/general", width, height)
		if err != nil {
			t.Fatal(err)
		}
		n := &newcomer{T: t, ctx: ctx, page: p, shots: name}
		n.must(p.Colours(ctx, colours))
		n.sees("# general")
		return n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the bot's log:\n%s", s.Logs())
		}
	})

	t.Run("keyboard alone", func(t *testing.T) {
		n := visit(t, "keyboard", "light", 1280, 800)
		byKeyboard(n)
		n.fine(url)
	})
	t.Run("everything", func(t *testing.T) {
		n := visit(t, "everything", "light", 390, 844)
		surfaces(n)
		n.fine(url)
	})
	t.Run("tour, large, light", func(t *testing.T) {
		n := visit(t, "large-light", "light", 1280, 800)
		walk(n)
		n.must(n.page.Colours(ctx, "dark"))
		n.waits("getComputedStyle(document.body).backgroundColor === 'rgb(22, 25, 28)'")
		n.fits()
		n.shot("dark")
		n.clicks("Colours: as the system has them")
		n.waits("getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'")
		n.fine(url)
	})
	t.Run("tour, telephone, dark", func(t *testing.T) {
		n := visit(t, "phone-dark", "dark", 390, 844)
		walk(n)
		n.fine(url)
	})
}

// walk takes the tour as it asks to be taken.
func walk(n *newcomer) {
	narrow := false
	n.must(n.page.Eval(n.ctx, "innerWidth < 900", &narrow))
	behind := func() {
		if narrow {
			n.clicks("Look behind the scenes")
		}
	}
	front := func() {
		if narrow {
			n.clicks("Back to Slack")
		}
	}
	n.step("New here?")
	n.clicks("Start the tour")
	n.step("What is not allowed ends here")
	n.clicks("Be cy")
	n.clicks("Write it for me")
	n.fits()
	n.clicks("Send")
	n.step("Ask for access")
	n.sees("contractors never write")
	n.shot("refused")
	n.clicks("Be bo")
	n.clicks("Write it for me")
	n.clicks("Send")
	n.step("Somebody else agrees")
	n.clicks("Be dora")
	n.sees("Waiting for approval")
	n.fits()
	n.shot("card")
	n.clicks("Approve")
	n.step("Take the credential")
	n.clicks("Be bo")
	n.sees("Approved")
	n.fits()
	n.shot("approved")
	n.clicks("Get credentials")
	n.step("Use it")
	n.sees("postgresql://pa_bo_")
	n.waits("document.querySelector('.modal').contains(document.activeElement) && document.querySelector('#main').inert")
	behind()
	n.clicks(readOrders)
	n.step("It can do what was asked for, and no more")
	n.sees("stuck in checkout")
	n.waits("document.querySelector('#panes').textContent.includes('idle')") // the session is in the table
	n.shot("used")
	n.clicks(writeOrders)
	n.step("The deadline comes")
	n.sees("permission denied for table orders")
	n.shot("refused a write")
	front()
	n.clicks("Close")
	n.waits("document.querySelector('#modals').hidden && !document.querySelector('#main').inert")
	n.shot("waiting")
	n.step("It is over")
	n.sees("Verified")
	n.shot("receipt")
	behind()
	n.clicks(readOrders)
	n.step("And anyone can prove it")
	n.sees("terminating connection due to administrator command")
	n.shot("cut off")
	n.clicks("Be sam") // on a telephone still behind the scenes
	n.waits("document.querySelector('#panes').textContent.includes('None. A login exists only while somebody has access.')")
	n.clicks(auditVerify)
	n.step("That was the tour")
	n.sees("The chain is whole")
	n.clicks("Close")
	n.waits("document.querySelector('#tour').hidden")
}

// byKeyboard asks for access, takes it and gives it back without a mouse.
func byKeyboard(n *newcomer) {
	tab := func(to string) { n.Helper(); n.must(n.page.TabsTo(n.ctx, to)) }
	press := func(key string) { n.Helper(); n.must(n.page.Presses(n.ctx, key)) }
	tab("Skip to the conversation")
	press("Enter")
	n.waits("document.activeElement.id === 'messages'")
	tab("Message #general, or /prodaccess for a command")
	n.must(n.page.Types(n.ctx, "/prodaccess orders-prod read-only 10m INC-124 paged: checkout error rate"))
	press("Enter")
	n.sees("on call for payments")
	press("ArrowUp")
	n.waits("document.activeElement.value.endsWith('checkout error rate')")
	n.must(n.page.Eval(n.ctx, "document.activeElement.select()", nil))
	n.must(n.page.Types(n.ctx, "/"))
	n.waits("document.querySelectorAll('#hints [role=option]').length >= 3")
	n.shot("hints")
	press("Escape")
	// To the app's messages, backwards through the sidebar.
	for range 60 {
		press("Shift+Tab")
		if at, _ := n.page.Focused(n.ctx); strings.HasPrefix(at, "prodaccess") {
			break
		}
	}
	press("Enter")
	n.waits("location.hash === '#/ana/app'")
	n.sees("Get credentials")
	tab("Get credentials")
	press("Enter")
	n.sees("postgresql://pa_ana_")
	for range 25 { // the focus cannot leave the window
		press("Tab")
		n.waits("document.querySelector('.modal').contains(document.activeElement)")
	}
	n.shot("window")
	press("Escape")
	n.waits("document.querySelector('#modals').hidden && document.querySelector('#main').contains(document.activeElement)")
	n.sees("Release")
	tab("Release")
	press("Enter")
	n.waits("document.querySelector('dialog[open]').contains(document.activeElement)")
	n.shot("confirm")
	tab("Release")
	press(" ")
	n.sees("Verified")
}

// surfaces looks at what the tour passes by: the form, the help, the Home tab, a thread, the people and channels.
func surfaces(n *newcomer) {
	n.clicks("Not now")
	n.soon(func(ctx context.Context) error {
		return n.page.Clicks(ctx, "combobox", "Message #general, or /prodaccess for a command")
	})
	n.must(n.page.Types(n.ctx, "/prodaccess help"))
	n.must(n.page.Presses(n.ctx, "Enter"))
	n.sees("Only visible to you")
	n.fits()
	n.shot("help")
	n.must(n.page.Types(n.ctx, "/prodaccess"))
	n.must(n.page.Presses(n.ctx, "Enter"))
	n.sees("Request access")
	n.fits()
	n.shot("form")
	n.waits("document.querySelector('.modal [type=submit]')")
	n.must(n.page.Eval(n.ctx, "document.querySelector('.modal [type=submit]').click()", nil))
	n.sees("Please complete this required field.")
	n.waits("document.querySelector('.modal [aria-invalid=true]') === document.activeElement")
	n.fits()
	n.shot("what-is-wrong")
	n.must(n.page.Presses(n.ctx, "Escape"))
	n.waits("document.querySelector('#modals').hidden")
	n.clicks("People and channels")
	n.fits()
	n.shot("menu")
	n.must(n.page.Eval(n.ctx, "document.querySelector('[data-place=app]').click()", nil))
	n.clicks("Home")
	n.sees("Ask for access")
	n.fits()
	n.shot("home")
	n.clicks("Messages")
	n.waits("document.querySelector('#messages .replies, #messages .reply-in')")
	n.must(n.page.Eval(n.ctx, "document.querySelector('#messages .replies, #messages .reply-in').click()", nil))
	n.soon(func(ctx context.Context) error { return n.page.Clicks(ctx, "textbox", "Reply in the thread") })
	n.must(n.page.Types(n.ctx, "thank you"))
	n.must(n.page.Presses(n.ctx, "Enter"))
	n.waits("[...document.querySelectorAll('#thread article')].at(-1).textContent.includes('thank you')")
	n.fits()
	n.shot("thread")
	n.clicks("Close the thread")
	n.waits("document.activeElement.matches('.replies') && document.activeElement.textContent.includes('View thread')")
	n.clicks("Behind the scenes")
	n.sees("Slack ⇄ app")
	n.fits()
	n.must(n.page.Eval(n.ctx, "document.querySelector('#traffic').scrollIntoView()", nil))
	n.must(n.page.Eval(n.ctx, "[...document.querySelectorAll('#traffic summary')].filter(s => s.checkVisibility()).at(-1).click()", nil))
	n.fits()
	n.shot("traffic")
}
