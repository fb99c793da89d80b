// What the pages do by themselves. Everything on them also works without it.
(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const all = (selector, root = document) => root.querySelectorAll(selector);

  // ---- times, in the viewer's zone -------------------------------------------------
  const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
  const short = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hour12: false });
  const long = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false });

  function ago(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return `${s} s ago`;
    if (s < 3600) return `${Math.floor(s / 60)} min ago`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min ago`;
    return `${Math.floor(s / 86400)} days ago`;
  }

  function showTimes(root = document) {
    const now = new Date();
    for (const el of all('time[datetime]', root)) {
      const t = new Date(el.dateTime);
      if (Number.isNaN(t.getTime())) continue;
      if ('ago' in el.dataset) el.textContent = ago(now - t);
      else if (t.toDateString() === now.toDateString()) el.textContent = clock.format(t);
      else if (t.getFullYear() === now.getFullYear()) el.textContent = short.format(t);
      else el.textContent = long.format(t);
    }
  }
  setInterval(() => showTimes(), 15000);

  // ---- messages --------------------------------------------------------------------
  function notice(text) {
    const el = $('notice');
    if (!el) return;
    el.textContent = text;
    el.hidden = !text;
  }
  function announce(text) {
    if ($('announce')) $('announce').textContent = text;
  }
  document.addEventListener('htmx:timeout', () => notice('siemrelay did not answer in time. What you see may be old: try again.'));
  document.addEventListener('htmx:sendError', () => notice('siemrelay can’t be reached. What you see may be old: try again.'));
  document.addEventListener('htmx:afterRequest', (e) => { if (e.detail.successful) notice(''); });

  // ---- theme -----------------------------------------------------------------------
  const themes = ['system', 'light', 'dark'];
  function themeButton() {
    const button = $('theme');
    if (!button) return;
    const say = () => { $('theme-now').textContent = document.documentElement.dataset.theme || 'system'; };
    say();
    button.hidden = false;
    button.addEventListener('click', () => {
      const next = themes[(themes.indexOf(document.documentElement.dataset.theme || 'system') + 1) % themes.length];
      if (next === 'system') delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      try { localStorage.setItem('siemrelay-theme', next); } catch { /* then it holds for this page */ }
      say();
      document.dispatchEvent(new Event('theme'));
    });
  }

  // ---- tabs ------------------------------------------------------------------------
  let tabCount = 0;
  function makeTabs(root) {
    for (const box of all('[data-tabs]:not([data-made])', root)) {
      box.dataset.made = '';
      const list = document.createElement('div');
      list.className = 'tablist';
      list.setAttribute('role', 'tablist');
      list.setAttribute('aria-label', box.getAttribute('aria-label') || 'Forms');
      const tabs = [...all(':scope > section', box)].map((panel) => {
        const tab = document.createElement('button');
        tab.type = 'button';
        tab.textContent = panel.dataset.tab;
        tab.id = `tab-${++tabCount}`;
        tab.setAttribute('role', 'tab');
        panel.id = `panel-${tabCount}`;
        panel.setAttribute('role', 'tabpanel');
        panel.setAttribute('aria-labelledby', tab.id);
        tab.setAttribute('aria-controls', panel.id);
        list.append(tab);
        return { tab, panel };
      });
      const choose = (n) => tabs.forEach(({ tab, panel }, i) => {
        tab.setAttribute('aria-selected', String(i === n));
        tab.tabIndex = i === n ? 0 : -1;
        panel.hidden = i !== n;
      });
      tabs.forEach(({ tab }, i) => {
        tab.addEventListener('click', () => choose(i));
        tab.addEventListener('keydown', (e) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
          if (!step) return;
          const n = (i + step + tabs.length) % tabs.length;
          choose(n);
          tabs[n].tab.focus();
          e.preventDefault();
        });
      });
      box.prepend(list);
      if (tabs.length) choose(0);
    }
  }

  // ---- small helps -----------------------------------------------------------------
  function prepare(root) {
    showTimes(root);
    makeTabs(root);
    for (const b of all('[data-copy]', root)) if (navigator.clipboard) b.hidden = false;
    for (const b of all('[data-tick-all], [data-tick-all-label]', root)) b.hidden = false;
  }

  document.addEventListener('click', async (e) => {
    const copy = e.target.closest('[data-copy]');
    if (copy) {
      const from = (copy.closest('.body') || copy.parentElement).querySelector('code');
      try {
        await navigator.clipboard.writeText(from.textContent);
        copy.textContent = 'Copied';
      } catch {
        copy.textContent = 'Not copied';
      }
      setTimeout(() => { copy.textContent = 'Copy'; }, 2000);
    }
    if (e.target.closest('[data-close-drawer]')) { e.preventDefault(); closeDrawer(); }
    if (e.target.closest('[data-close-dialog]') && $('dialog')?.open) { e.preventDefault(); $('dialog').close(); }
    if (e.target.closest('#pill')) showNews();
  });

  document.addEventListener('change', (e) => {
    if (e.target.matches('[data-tick-all]')) {
      for (const box of all('input[name="id"]', e.target.form)) box.checked = e.target.checked;
    }
    if (e.target.id === 'company-choice') {
      const to = new URL(location.href);
      for (const name of ['cursor', 'from', 'after', 'record', 'event', 'letter', 'body', 'done', 'n']) to.searchParams.delete(name);
      if (e.target.value) to.searchParams.set('company', e.target.value);
      else to.searchParams.delete('company');
      location.assign(to);
    }
  });

  // ---- drawer and dialog -----------------------------------------------------------
  let opener = '';
  function closeDrawer() {
    const drawer = $('drawer');
    const close = drawer?.querySelector('[data-close-drawer]');
    if (!close) return;
    // The search may have changed since the drawer was opened.
    const to = new URL(location.href);
    for (const name of ['record', 'event', 'letter', 'body']) to.searchParams.delete(name);
    drawer.replaceChildren();
    document.title = document.title.replace(/^.* — /, '');
    history.pushState({ htmx: true }, '', to);
    ($(opener) || $('main')).focus();
    markCurrent();
  }
  function markCurrent() {
    const params = new URL(location.href).searchParams;
    const shown = ['record', 'event', 'letter', 'body'].map((n) => params.get(n)).find(Boolean);
    for (const row of all('tr[data-row]')) {
      const a = row.querySelector('a.open-row');
      const its = a && new URL(a.href).searchParams;
      row.classList.toggle('current', Boolean(shown && its && ['record', 'event', 'letter', 'body'].some((n) => its.get(n) === shown)));
    }
  }
  document.addEventListener('keydown', (e) => {
    if (e.key === 'Escape' && !$('dialog')?.open && $('drawer')?.firstElementChild && !e.target.matches('input[type=search]')) closeDrawer();
    if (e.key === '/' && !e.target.matches('input, textarea, select') && $('q')) { e.preventDefault(); $('q').focus(); }
  });

  let drawerAt = 0;
  const known = new Map();
  document.addEventListener('htmx:beforeRequest', (e) => {
    if (e.detail.target.id === 'drawer' && e.detail.elt.matches('a')) {
      opener = e.detail.elt.id;
      document.body.classList.add('busy');
    }
  });
  document.addEventListener('htmx:beforeSwap', (e) => {
    // A session that has ended answers with the login page, wherever it was asked for.
    if (new URL(e.detail.xhr.responseURL || location.href).pathname === '/login') {
      e.detail.shouldSwap = false;
      location.reload();
      return;
    }
    const target = e.detail.target;
    if (target.id === 'drawer') drawerAt = target.scrollTop;
    known.set(target.id, new Set([...all('[data-row]', target)].map((row) => row.dataset.row)));
  });
  document.addEventListener('htmx:afterSwap', (e) => {
    const target = e.detail.target;
    const asked = e.detail.elt;
    if (target.id === 'dialog') {
      if (!target.open && target.firstElementChild) target.showModal();
    }
    if (target.id === 'drawer') {
      document.body.classList.remove('busy');
      const refreshed = e.detail.requestConfig?.triggeringEvent?.type === 'refresh';
      if (refreshed) target.scrollTop = drawerAt;
      else { target.scrollTop = 0; target.focus({ preventScroll: true }); }
    }
    const before = known.get(target.id);
    const fresh = e.detail.requestConfig?.triggeringEvent?.type === 'refresh';
    if (before?.size && fresh) {
      for (const row of all('[data-row]', target)) row.classList.toggle('fresh', !before.has(row.dataset.row));
    }
    prepare(asked.isConnected && !target.isConnected ? asked : target);
    markCurrent();
  });
  document.addEventListener('htmx:afterRequest', () => document.body.classList.remove('busy'));
  document.addEventListener('htmx:pushedIntoHistory', markCurrent);

  // ---- news ------------------------------------------------------------------------
  const seen = { sequence: Number(document.body.dataset.sequence || 0), status: document.body.dataset.digest || '' };
  let stream = null;
  let failures = 0;
  let heard = Date.now();
  let waiting = null; // what is new and not shown yet
  let shownAt = 0;

  function live(state, text) {
    const el = $('live');
    if (!el) return;
    el.hidden = false;
    el.dataset.state = state;
    if (el.textContent !== text) el.textContent = text;
  }

  function connect() {
    if (stream || document.hidden || !$('live')) return;
    stream = new EventSource('/live');
    stream.addEventListener('beat', () => { heard = Date.now(); failures = 0; live('on', 'Live'); });
    stream.addEventListener('news', (e) => { heard = Date.now(); news(JSON.parse(e.data)); });
    stream.addEventListener('error', lost);
  }
  function disconnect() {
    stream?.close();
    stream = null;
  }
  function lost() {
    disconnect();
    if (document.hidden) return;
    failures++;
    live('off', 'Connection lost, retrying');
    setTimeout(connect, Math.min(15000, 1000 * failures));
    if (failures === 2) checkLogin();
  }
  // A stream does not tell why it failed: it may be that the session has ended.
  async function checkLogin() {
    try {
      const r = await fetch('/status', { redirect: 'manual', headers: { 'HX-Request': 'true' }, signal: AbortSignal.timeout(10000) });
      if (r.type === 'opaqueredirect' || r.status === 401) location.reload();
    } catch { /* nobody is there: the stream is tried again */ }
  }
  setInterval(() => { if (stream && Date.now() - heard > 40000) lost(); }, 5000);
  document.addEventListener('visibilitychange', () => { if (document.hidden) disconnect(); else { heard = Date.now(); connect(); } });
  addEventListener('pagehide', disconnect);

  function news(n) {
    const sequence = n.sequence !== 0 && n.sequence !== seen.sequence;
    const status = n.status !== seen.status;
    if (sequence && n.sequence > seen.sequence && seen.sequence) {
      const count = n.sequence - seen.sequence;
      announce(count === 1 ? 'One new event' : `${count} new events`);
    }
    if (n.sequence) seen.sequence = n.sequence;
    seen.status = n.status;
    if (!sequence && !status) return;
    waiting = { sequence: sequence || waiting?.sequence, status: status || waiting?.status };
    // A flood of news is shown every second and a half.
    setTimeout(showWaiting, Math.max(0, shownAt + 1500 - Date.now()));
  }

  function showWaiting() {
    if (!waiting) return;
    const now = waiting;
    waiting = null;
    shownAt = Date.now();
    for (const el of all('[data-live]')) {
      switch (el.dataset.live) {
        case 'any': refresh(el); break;
        case 'sequence': if (now.sequence) refresh(el); break;
        case 'list':
          if (!now.sequence) break;
          if ('first' in el.dataset && !reading(el)) refresh(el);
          else pill(true);
          break;
        case 'ask': if (now.status) refreshIfOther(el); break;
      }
    }
  }
  // A person who has scrolled down or marks text does not want the rows to move.
  function reading(el) {
    const list = el.closest('#list');
    const marked = getSelection();
    return (list && list.getBoundingClientRect().top < -40) || (marked && !marked.isCollapsed && list?.contains(marked.anchorNode));
  }
  // A table with ticks is changed only if nothing is ticked.
  function refreshIfOther(el) {
    if (el.closest('#list')?.querySelector('input[name="id"]:checked') || reading(el)) pill(true);
    else refresh(el);
  }
  function refresh(el) { htmx.trigger(el, 'refresh'); }
  function pill(show) { if ($('pill')) $('pill').hidden = !show; }
  function showNews() {
    pill(false);
    const el = document.querySelector('[data-live="list"], [data-live="ask"]');
    if (!el) return;
    if (el.dataset.live === 'list' && !('first' in el.dataset)) { location.assign(el.dataset.newest); return; }
    scrollTo({ top: 0 });
    refresh(el);
  }

  document.addEventListener('DOMContentLoaded', () => {
    prepare(document);
    themeButton();
    markCurrent();
    document.querySelector('.side nav [aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' });
    if ($('drawer')?.firstElementChild) $('drawer').focus({ preventScroll: true });
    connect();
  });
})();
