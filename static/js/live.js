// live.js: everything that this panel knows of htmx's websocket extension: the
// connection and what is said of it, frames and how rows merge, and pausing.
// A page without a socket has nothing for it to do. It is long because all of it
// shares the state of one connection: split, that would be every part's to change.
function live(holder) {
  // Beats come every 2 s. Checks run twice a second, so what is shown as live
  // is never older than 5 s, and 12 s of silence never look like less.
  const fresh = 4500, lost = 11000;
  // A handshake that hangs is begun anew before the system's own repeats of a
  // lost packet are further apart than that.
  const patience = 2500, retryFirst = 250, retryMost = 1500;

  // ---- the connection

  let api, socket, timer;
  let tries = 0; // since the last message
  let started = 0, next = 0; // when the socket was made, when the next one will be
  let heard = Date.now(); // when the last message came; the page itself is the first
  let lived; // this page was live, once
  let told = false; // the socket is there and has said something, so nothing is missing
  let state = 'connecting';

  htmx.defineExtension('live', { init: (internal) => { api = internal; } });

  // The extension calls this for every connection. Its own reaction to a close
  // is taken away: it gives up after most close codes, waits up to a minute
  // after the others, and cannot be stopped from opening a second socket. The
  // address is read anew each time, because filters change it.
  htmx.createWebSocket = () => {
    clearTimeout(timer);
    socket?.close();
    const url = new URL(holder.getAttribute('ws-connect'), location.href.replace(/^http/, 'ws'));
    const asked = paused, tells = (name, value) => { if (value) url.searchParams.set(name, value); };
    // A table with a gap does not say what it shows: it is drawn anew, as is one
    // that calls another day today.
    if (!$('#rows > .gap-row') && !dated) tells('since', byId('rows')?.dataset.lastId);
    tells('at', byId('beat')?.dataset.asOf);
    tells('paused', paused && 1);
    const mine = socket = new WebSocket(url);
    started = Date.now();
    mine.addEventListener('open', () => { if (!paused !== !asked) say(paused ? 'pause' : 'resume'); });
    mine.addEventListener('close', ({ code }) => {
      if (mine !== socket) return;
      // Who looks is not known any more: the server says where to go. A page
      // that was refused from its start on is not loaded again and again.
      if (code === 1008 && lived) location.reload();
      told = false;
      again();
      check();
    });
    queueMicrotask(() => { mine.onclose = mine.onerror = null; });
    return mine;
  };

  connect = () => { api.getInternalData(holder).webSocket?.init(); };
  const say = (op) => { if (socket?.readyState === WebSocket.OPEN) socket.send(`{"op":"${op}","last":${byId('rows').dataset.lastId || -1}}`); };

  function again() {
    const wait = Math.min(retryMost, retryFirst * 2 ** tries) * (0.5 + Math.random() / 2);
    next = Date.now() + wait;
    clearTimeout(timer);
    timer = setTimeout(retry, wait);
  }

  // Browsers hold sockets back, for seconds, once a dozen have failed in a
  // minute or two. So after the first ones a plain request finds out whether
  // the hub is there.
  async function retry() {
    const there = tries++ < 4 || await fetch(byId('favicon').dataset.online, { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(patience) }).catch(() => false);
    if (socket?.readyState < WebSocket.CLOSING) return; // made meanwhile
    if (there) connect();
    else again();
  }

  function anew() {
    socket?.close();
    socket = null;
    retry();
  }

  // Says how the connection is, and replaces a socket that hangs or has gone
  // silent: a half-open one would otherwise stay for ever.
  function check() {
    const now = Date.now(), silent = now - heard;
    decide();
    let is = 'stale';
    if (silent >= lost) is = 'offline';
    else if (silent < fresh) {
      if (told) is = paused ? 'paused' : 'live';
      else if (state === 'connecting') is = state;
    }
    for (const el of $$('.conn')) Object.assign(el.dataset, { state: is, why: paused });
    byId('pause')?.setAttribute('aria-pressed', byHand);
    for (const el of $$('.conn [data-when=stale], #offline-age')) fill(el, Math.round(silent / 1000));
    if (is === 'offline') {
      fill(byId('offline-since'), clock(heard));
      fill(byId('offline-retry'), next - now > 1000 ? 2 : 1, tries);
    }
    if (is !== state) {
      state = is;
      byId('offline').hidden = is !== 'offline';
      mark();
    }
    release();
    keepTime();
    if (now - started >= patience && (socket?.readyState === WebSocket.CONNECTING || socket?.readyState === WebSocket.OPEN && silent >= lost)) anew();
  }

  // A moment's time of day, in the zone of the page.
  const timeZone = root.dataset.zone === 'UTC' ? 'UTC' : undefined;
  const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB', { timeZone });

  // The wall tells the server's time.
  function keepTime() {
    const now = Date.now() - ahead;
    if (!byId('clock')) return;
    write(byId('clock'), clock(now));
    write(byId('today'), new Date(now).toLocaleDateString(`${root.lang}-GB`, { timeZone, weekday: 'short', day: 'numeric', month: 'short' }).replace(',', ''));
  }

  // The tab's title and icon count the criticals that nobody has acknowledged.
  function mark() {
    const critical = unacked(), icon = byId('favicon');
    write($('title'), (critical ? `(${critical}) ` : '') + document.title.replace(/^\(\d+\) /, ''));
    const href = icon.dataset[state === 'offline' ? state : critical ? 'alert' : 'online'];
    if (icon.getAttribute('href') !== href) icon.href = href;
  }

  // ---- pausing

  let paused = ''; // '', 'hand' or 'reading'
  let byHand = false;
  let overruled; // the cause that was there when the pill was clicked
  let missed = false; // rows came that were not shown
  let today = byId('beat')?.dataset.day; // of the last beat, in the zone of the page
  let dated = false; // a day has ended since the rows were drawn

  // Why rows must not move now. What has the focus is a cause of its own: the
  // first row, where the pill leads, is not; the next one that is looked at is.
  function cause() {
    const rows = byId('rows'), focused = document.activeElement, chosen = getSelection();
    if (document.hidden) return 'hidden';
    if (scrollY > 80) return 'scroll';
    if (!chosen.isCollapsed && rows?.contains(chosen.anchorNode)) return 'selection';
    return rows?.contains(focused) ? focused : byId('drawer') && 'drawer';
  }

  function decide() {
    const pill = byId('pill');
    if (!pill) return;
    const why = cause();
    if (why !== overruled) overruled = null;
    const was = paused;
    paused = byHand ? 'hand' : why && !overruled ? 'reading' : '';
    if (paused && !was) say('pause');
    if (paused || !was) return;
    // What came to a paused page and was not shown counts as sent over there,
    // so only a new connection brings it.
    pill.replaceChildren();
    if (missed) connect();
    else say('resume');
    missed = false;
  }

  acts.pause = () => {
    byHand = !byHand;
    check();
  };
  acts.merge = () => {
    byHand = false;
    scrollTo(0, 0);
    focus($('#rows .c-msg a'));
    overruled = cause();
    check();
  };
  acts['retry-now'] = anew;

  // ---- rows

  const isDay = (row) => row.classList.contains('day');
  const count = (row) => Number(row.dataset.n ?? 1);
  // Rows stand in the order of their ids, a gap at the newest that it leaves out.
  const key = (row) => Number(row.dataset.to ?? row.id.replace(/\D+/, ''));

  function setCount(row, n) {
    const label = $('.rep', row);
    if (!label) return;
    row.dataset.n = n;
    label.hidden = n < 2;
    write(label, `×${n}`);
  }

  // Runs a change of rows. What was marked and focused stays so, in the row
  // that stands for it then.
  function keeping(rows, heir, change) {
    const focused = rows.contains(document.activeElement) && document.activeElement.closest('tr').id;
    const current = ($('[aria-current]', rows) ?? rows.closest('[aria-current]'))?.id;
    change();
    if (current) (heir ?? byId(current))?.setAttribute('aria-current', 'true');
    if (focused) focus($('.c-msg a', heir ?? byId(focused) ?? rows));
  }

  // Puts a new row where its id belongs, below the row of its day.
  function place(body, row, day) {
    let at = [...body.rows].find((r) => !isDay(r) && key(r) < key(row)) ?? null;
    const header = day && byId(day.id), above = at?.previousElementSibling;
    if (above && isDay(above) && above !== header) at = above;
    if (day && !header) body.insertBefore(day, at);
    body.insertBefore(row, at);
  }

  // The rules by which a frame's rows join those that are shown. One that is
  // shown takes its new state where it stands; one that repeats a shown older
  // one takes it over, with its count; one older than all, within a gap or
  // counted by a newer one stays out.
  function merge(body, frame) {
    const had = [...body.rows].filter((row) => !isDay(row)), last = had.at(-1);
    let day;
    for (const row of [...frame.children]) {
      const shown = row.id && $(`#${row.id}`, body), twin = row.dataset.g && $(`[data-g="${row.dataset.g}"]`, body);
      const holds = (gap) => gap.dataset.to && key(row) >= gap.dataset.from && key(row) <= gap.dataset.to;
      if (row.id === `e${opened}`) reopen();
      if (isDay(row)) day = row;
      else if ('gone' in row.dataset) shown?.remove();
      else if (shown) {
        setCount(row, Math.max(count(shown), count(row)));
        if (!shown.isEqualNode(row)) keeping(shown, row, () => shown.replaceWith(row));
      } else if ('changes' in frame.dataset) continue; // of what is not shown
      else if (paused) missed = true;
      else if (!(last && key(row) < key(last) || had.some(holds) || twin && key(twin) > key(row))) {
        place(body, row, day);
        if (body.id === 'rows') arrived(row);
        if (!twin) continue;
        setCount(row, count(twin) + count(row));
        keeping(twin, row, () => twin.remove());
      }
    }
    trim(body);
  }

  // Older rows go on below the last one that is shown.
  function onward(last) {
    const older = byId('older');
    if (!older || !last) return;
    const to = new URLSearchParams(older.search);
    to.set('before', key(last));
    older.search = to;
  }

  // In a flood half of the rows stay: a table with a gap is drawn anew when it
  // is over.
  let flood = false;
  function trim(body) {
    const rows = $$('tr[id]:not(.day, .gap-row)', body), cap = body.dataset.cap / (flood && $('.gap-row', body) ? 2 : 1);
    if (rows.length > cap) {
      while (rows[cap - 1].nextSibling) rows[cap - 1].nextSibling.remove();
      $('.tbl-foot[hidden]')?.removeAttribute('hidden'); // the way to what was cut
      onward(rows[cap - 1]);
    }
    for (const day of $$('.day', body)) if (!day.nextElementSibling || isDay(day.nextElementSibling)) day.remove();
  }

  // What a body shows, without what changes while it is shown.
  function content(body) {
    const copy = body.cloneNode(true);
    for (const age of $$('.age', copy)) write(age, '');
    for (const row of copy.children) {
      row.removeAttribute('aria-current');
      row.classList.remove('is-new');
    }
    return copy.innerHTML.replace(/>\s+/g, '>');
  }

  function replace(body, frame) {
    if (paused) return void (missed = true);
    dated = false;
    if (content(body) !== content(frame)) {
      keeping(body, undefined, () => body.replaceChildren(...frame.children));
      onward(body.lastElementChild);
    }
  }

  // ---- frames

  // What is being read or pointed at must not move: its newest frame waits.
  const waiting = new Map();
  // A finger that was there before does not point any more.
  let touch = false;
  on('pointerdown', ({ pointerType }) => { touch = pointerType === 'touch'; });
  const inUse = (el) => el?.matches(touch ? ':has(:focus-visible)' : ':is(:hover, :has(:focus-visible))');
  function release() {
    for (const [id, frame] of waiting) {
      if (inUse(byId(id))) continue;
      waiting.delete(id);
      byId(id)?.replaceWith(frame);
    }
  }

  on('htmx:oobBeforeSwap', (event) => {
    const { target, detail: { fragment } } = event;
    if (/rows$/.test(target.id)) {
      event.preventDefault();
      ('all' in fragment.dataset ? replace : merge)(target, fragment);
      if (!paused && fragment.dataset.lastId) target.dataset.lastId = fragment.dataset.lastId;
    } else if (/kpis|attn|histo|strip/.test(target.id)) {
      waiting.delete(target.id);
      if (!inUse(target)) return;
      event.preventDefault();
      waiting.set(target.id, fragment);
    }
  });

  let seen, build, away = false, news = byId('news');
  on('htmx:wsBeforeMessage', () => {
    seen ??= byId('rows')?.dataset.lastId;
    away ||= Date.now() - heard > lost;
    heard = Date.now();
    lived = told = true;
    tries = 0;
  });

  on('htmx:wsAfterMessage', () => {
    const { lastId, rate, day, build: newest } = byId('beat')?.dataset ?? {}, rows = byId('rows');
    if (lastId) {
      if (rows?.dataset.lastId && !paused) rows.dataset.lastId = lastId;
      if (away && seen) back(lastId - seen);
      away = false;
      seen = lastId;
      build ||= newest;
      if (newest !== build) root.matches('[data-wall]') ? location.reload() : byId('updated').hidden = false;
      flood = rate >= 1000;
      if (day !== today) {
        dated = true;
        connect();
      }
      today = day;
      root.dataset.rate = rate >= 20 ? 'high' : ''; // then rows come without animation
      for (const id of ['rate', 'burst']) fill(byId(id), number(+rate));
    }
    if (byId('news') !== news) flash((news = byId('news')).dataset);
    mark();
    heardOf();
    check();
  });

  setInterval(check, 500);
  addEventListener('online', anew);
  addEventListener('scroll', decide, { passive: true });
  on('focusin', decide);
  on('selectionchange', decide);
  on('visibilitychange', () => {
    check();
    if (!document.hidden) retry();
  });
}

const holder = $('[ws-connect]');
if (holder) live(holder);
