// live.js: everything that this panel knows of htmx's websocket extension, its
// events and its gaps. Loaded after htmx and before the extension. A page
// without a socket has nothing for it to do.
(() => {
  'use strict';
  const holder = document.querySelector('[ws-connect]');
  if (!holder) return;

  // Beats come every 2 s. The checks run every half second, so what is shown
  // as live is never older than 5 s, and 12 s of silence never look like less.
  const fresh = 4500, lost = 11000, patience = 4000, every = 500;
  const retryFirst = 250, retryMost = 1500;

  const byId = (id) => document.getElementById(id);
  const conn = byId('conn'), age = byId('conn-age'), banner = byId('offline'), icon = byId('favicon');
  const tables = ['rows', 'alert-rows'].map(byId).filter(Boolean);

  let api, socket, timer;
  let tries = 0; // since the last message
  let started = 0; // when the socket was made
  let heard = Date.now(); // when the last message came; the page itself is the first
  let told = false; // this socket has said something, so nothing is missing

  htmx.defineExtension('live', { init: (internal) => { api = internal; } });

  // The extension calls this for every connection. Its own reaction to a close
  // is taken away: it gives up after most close codes, waits up to a minute
  // after the others, and cannot be stopped from opening a second socket.
  htmx.createWebSocket = (url) => {
    clearTimeout(timer);
    socket?.close();
    const last = byId('rows')?.dataset.lastId;
    const mine = socket = new WebSocket(last ? `${url}&since=${last}` : url);
    started = Date.now();
    told = false;
    mine.addEventListener('close', () => {
      if (mine !== socket) return;
      told = false;
      check();
      const wait = Math.min(retryMost, retryFirst * 2 ** tries++);
      clearTimeout(timer);
      timer = setTimeout(connect, wait * (0.5 + Math.random() / 2));
    });
    queueMicrotask(() => { mine.onclose = mine.onerror = null; });
    return mine;
  };

  function connect() { api.getInternalData(holder).webSocket?.init(); }

  const number = (row) => Number(row?.id.slice(3) ?? 0);

  // Rows merge by id: one that is shown takes its new state where it stands, a
  // newer one goes on top, an older one that is not shown stays out.
  document.addEventListener('htmx:oobBeforeSwap', (event) => {
    const { target, detail: { fragment } } = event;
    if (!tables.includes(target)) return;
    if ('all' in fragment.dataset) {
      if (fragment.innerHTML === target.innerHTML) event.preventDefault();
      return;
    }
    const newest = number(target.querySelector('tr[id]'));
    for (const row of [...fragment.querySelectorAll('tr[id]')]) {
      const shown = byId(row.id);
      if (shown && shown.outerHTML !== row.outerHTML) shown.replaceWith(row);
      else if (shown || number(row) < newest) row.remove();
    }
  });

  document.addEventListener('htmx:wsAfterMessage', () => {
    heard = Date.now();
    told = true;
    tries = 0;
    const beat = byId('beat');
    for (const body of tables) {
      if (beat && body.dataset.lastId) body.dataset.lastId = beat.dataset.lastId;
      const rows = body.querySelectorAll('tr[id]'), cap = Number(body.dataset.cap);
      if (rows.length <= cap) continue;
      while (rows[cap - 1].nextSibling) rows[cap - 1].nextSibling.remove();
      document.querySelector('.tbl-foot[hidden]')?.removeAttribute('hidden'); // the way to what was cut
    }
    check();
  });

  // Says how the connection is, and replaces a socket that has gone silent: a
  // half-open one would otherwise stay for ever.
  function check() {
    const now = Date.now(), silent = now - heard;
    let state = 'stale';
    if (silent >= lost) state = 'offline';
    else if (told && silent < fresh) state = 'live';
    else if (conn.dataset.state === 'connecting' && silent < fresh) return;
    age.textContent = age.dataset.text.replace('%', Math.round(silent / 1000));
    if (conn.dataset.state !== state) {
      conn.dataset.state = state;
      banner.hidden = state !== 'offline';
      icon.href = state === 'offline' ? icon.dataset.offline : icon.dataset.online;
    }
    if (silent >= lost && now - started >= patience) connect();
  }

  setInterval(check, every);
  addEventListener('online', connect);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    check();
    if (socket?.readyState > WebSocket.OPEN) connect();
  });
})();
