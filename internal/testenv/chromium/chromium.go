// Package chromium drives the real browser in tests of pages.
//
// It guarantees that a page's mistakes are not overlooked: what the browser has to
// complain of (scripts that fail, things that the policy of the page refuses, dialogs,
// answers that are errors) fails the test, unless the test expects it. It refuses to
// know what is on a page.
package chromium

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// patience is how long a page may take for one thing. It is for a machine that has
// much else to do.
const patience = time.Minute

// Browser is one Chromium with a profile of its own.
type Browser struct {
	ctx context.Context
	dir string // of pictures
}

// Open starts Chromium, and ends it with the test. Where there is none the test is
// skipped, see endtoend.Skip. Pictures go to a folder below pictures, and if that is
// empty to the test's artifacts.
func Open(tb testing.TB, pictures string) *Browser {
	tb.Helper()
	program, err := find()
	if err != nil {
		endtoend.Skip(tb, err)
	}
	if pictures == "" {
		pictures = tb.ArtifactDir()
	}
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		tb.Fatal(err)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(program), chromedp.UserDataDir(tb.TempDir()), chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("lang", "en-GB"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	tb.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			tb.Logf("end Chromium: %v", err)
		}
		cancel()
		cancelAllocator()
	})
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		tb.Fatalf("start %s: %v", program, err)
	}
	return &Browser{ctx, pictures}
}

func find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no chromium: apt-get install chromium")
}

// Page is one tab.
type Page struct {
	tb     testing.TB
	ctx    context.Context
	cancel context.CancelFunc
	dir    string

	mu       sync.Mutex
	problems []string
	expected []string
}

// Size is the window of a page, in CSS pixels.
type Size struct{ Width, Height int64 }

// The sizes of the two machines that an analyst has.
var (
	Laptop = Size{1440, 900}
	Phone  = Size{390, 844}
)

// Page opens a tab. When the test ends it fails for each problem that the page had.
func (b *Browser) Page(tb testing.TB, size Size) *Page {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	p := &Page{tb: tb, ctx: ctx, cancel: cancel, dir: b.dir}
	if err := chromedp.Listen(ctx, p.notice); err != nil {
		tb.Fatalf("open a tab: %v", err)
	}
	tb.Cleanup(func() {
		for _, problem := range p.Problems() {
			tb.Errorf("the page had a problem: %s", problem)
		}
		p.Close()
	})
	call(p, emulation.SetTimezoneOverride.Method, func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"})
		return err
	})
	call(p, "watch for violations", func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `document.addEventListener('securitypolicyviolation', (e) => console.error('policy violation: ' + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample));`,
		})
		return err
	})
	p.Resize(size)
	return p
}

// Close closes the tab.
func (p *Page) Close() { p.cancel() }

// notice runs inside chromedp's loop: it only takes notes.
func (p *Page) notice(ev any) {
	var problem string
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			problem = fmt.Sprintf("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		problem = "exception: " + ev.ExceptionDetails.Text
		if ev.ExceptionDetails.Exception != nil {
			problem += " " + ev.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning {
			problem = string(ev.Type)
			for _, a := range ev.Args {
				problem += " " + string(a.Value) + a.Description
			}
		}
	case *page.EventJavascriptDialogOpening:
		problem = "dialog: " + ev.Message
		go func() { // until the command is done, or the tab is closed
			_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: false})
		}()
	}
	if problem == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

// Expect makes problems that contain text none, those to come and those that were.
func (p *Page) Expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text)
}

// Problems returns what went wrong so far and was not expected.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.problems), func(problem string) bool {
		return slices.ContainsFunc(p.expected, func(text string) bool { return strings.Contains(problem, text) })
	})
}

// call does something on the page, and ends the test if it can't be done.
func call(p *Page, what string, do func(context.Context) error) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := do(ctx); err != nil {
		p.tb.Fatalf("%s: %v", what, err)
	}
}

// Resize gives the window another size.
func (p *Page) Resize(size Size) {
	p.tb.Helper()
	call(p, "resize the window", func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: size.Width, Height: size.Height, DeviceScaleFactor: 1, Mobile: size.Width < 600,
		})
		return err
	})
}

// Prefer sets what the person prefers: "light" or "dark".
func (p *Page) Prefer(scheme string) {
	p.tb.Helper()
	call(p, "prefer "+scheme, func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	})
}

// NoScripts turns the page's scripts off, or on again.
func (p *Page) NoScripts(off bool) {
	p.tb.Helper()
	call(p, "turn scripts off", func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
		return err
	})
}

// Go loads an address.
func (p *Page) Go(url string) {
	p.tb.Helper()
	call(p, "go to "+url, func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.Navigate(url)) })
}

// Eval returns the value of an expression on the page. A promise is waited for.
func Eval[T any](p *Page, expression string) T {
	p.tb.Helper()
	var v T
	call(p, "evaluate "+expression, func(ctx context.Context) (err error) {
		v, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
		return err
	})
	return v
}

// Wait waits until a condition holds on the page, over reloads too.
func (p *Page) Wait(condition string) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			p.Picture("timeout")
			p.tb.Fatalf("it never came to be that %s (%v); the page had problems: %q", condition, err, p.Problems())
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// Click clicks on what a CSS selector finds, as a mouse does.
func (p *Page) Click(selector string) {
	p.tb.Helper()
	call(p, "click on "+selector, func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.Click(selector)) })
}

// Type types into what a CSS selector finds.
func (p *Page) Type(selector, text string) {
	p.tb.Helper()
	call(p, "type into "+selector, func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.SendKeys(selector, text)) })
}

// Key presses a key wherever the focus is; see chromedp/kb for those without a picture.
func (p *Page) Key(key string) {
	p.tb.Helper()
	call(p, "press a key", func(ctx context.Context) error { return chromedp.Do(ctx, chromedp.KeyEvent(key)) })
}

// Picture writes what is in the window to name.png.
func (p *Page) Picture(name string) {
	p.tb.Helper()
	call(p, "take a picture", func(ctx context.Context) error {
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(p.dir, name+".png"), png, 0o644)
	})
}

// Text is the text that a person sees of what a CSS selector finds first.
func (p *Page) Text(selector string) string {
	p.tb.Helper()
	return Eval[string](p, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}
