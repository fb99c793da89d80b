// The picture of severities over time. Its numbers are also in the table below it.
(() => {
  'use strict';
  const names = ['critical', 'high', 'medium', 'low', 'info'];
  const el = () => document.getElementById('chart');
  let plot = null;
  let columns = null;
  let totals = [];

  // A colour of the style sheet as the canvas takes it.
  function colour(name) {
    const probe = document.createElement('span');
    probe.className = `probe ${name}`;
    el().append(probe);
    const c = getComputedStyle(probe).color;
    probe.remove();
    return c;
  }

  function say(text) {
    plot?.destroy();
    plot = null;
    const p = document.createElement('p');
    p.className = 'quiet';
    p.textContent = text;
    el().replaceChildren(p);
  }

  // The thousands apart, as on the rest of the page.
  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');

  function legend(index) {
    const cells = document.querySelectorAll('#legend td');
    const when = document.getElementById('chart-when');
    const at = index !== null && index !== undefined;
    cells.forEach((cell, i) => { cell.textContent = grouped(at ? columns[i + 1][index] : totals[i]); });
    when.textContent = at ? new Date(columns[0][index] * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }) : 'The whole window';
  }

  // The marks of the time axis, with 24 hours: the day where it begins, else the time.
  const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
  const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hour12: false });
  function times(splits, step) {
    return splits.map((s) => {
      const t = new Date(s * 1000);
      return step >= 86400 || (t.getHours() === 0 && t.getMinutes() === 0) ? day.format(t) : clock.format(t);
    });
  }

  function draw() {
    plot?.destroy();
    el().replaceChildren();
    const n = columns[0].length;
    // Each severity stands on those that are worse. The highest is drawn first, so that
    // what is lower covers its foot.
    const sums = names.map(() => new Array(n).fill(0));
    for (let i = 0; i < n; i++) {
      let sum = 0;
      names.forEach((_, k) => { sum += columns[k + 1][i]; sums[k][i] = sum; });
    }
    const order = names.map((_, k) => k).reverse();
    const axis = { stroke: colour('axis'), grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('grid'), width: 1 }, font: '11px system-ui, sans-serif' };
    const top = Math.max(4, ...sums[names.length - 1]);
    plot = new uPlot({
      width: el().clientWidth, height: el().clientHeight,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: true, range: (u, min, max) => { const step = n > 1 ? columns[0][1] - columns[0][0] : 3600; return [min - step / 2, max + step / 2]; } }, y: { range: [0, top * 1.08] } },
      axes: [{ ...axis, grid: { show: false }, values: (u, splits, at, space, step) => times(splits, step) }, { ...axis, size: (u, marks) => 16 + 7 * Math.max(4, ...(marks ?? []).map((m) => m.length)), values: (u, splits) => splits.map(grouped), incrs: [...Array(9).keys()].flatMap((e) => [1, 2, 5].map((m) => m * 10 ** e)) }],
      series: [{}, ...order.map((k) => ({ label: names[k], fill: colour(names[k]), stroke: colour(names[k]), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.78, 48], gap: 0 }) }))],
      hooks: { setCursor: [(u) => legend(u.cursor.idx)] },
    }, [columns[0], ...order.map((k) => sums[k])], el());
  }

  async function load() {
    try {
      const r = await fetch(el().dataset.src, { signal: AbortSignal.timeout(15000) });
      const answer = await r.json();
      if (!r.ok) { say(answer.error); return; }
      columns = answer.columns;
      totals = columns.slice(1).map((c) => c.reduce((a, b) => a + b, 0));
      legend(null);
      draw();
    } catch {
      say('The numbers can’t be had now: siemrelay did not answer. They are asked for again with the next event.');
    }
  }

  document.addEventListener('DOMContentLoaded', () => {
    if (!el()) return;
    load();
    el().addEventListener('refresh', load);
    document.addEventListener('theme', () => { if (columns) draw(); });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { if (columns) draw(); });
    new ResizeObserver(() => { if (plot && el().clientWidth) plot.setSize({ width: el().clientWidth, height: el().clientHeight }); }).observe(el());
  });
})();
