// lists.js: what can be done with events without leaving the list: the drawer,
// the filter, acknowledging, and the keys. The address is the state: a reload
// shows the same.

const idIn = (path) => path.match(/^\/events\/(\d+)$/)?.[1];
const current = () => $('#rows .ev[aria-current]');
const linkOf = (row) => row && $('.c-msg a', row);
const drawer = () => byId('drawer');

// Fetches a part of a page and puts it where the one that is shown stands,
// with what else changes by it. A newer request for the same part ends the
// older one; one that takes a while is seen to be on its way. Focus that is
// lost with a row goes to the same row.
const running = {};
async function load(path, id) {
  running[id]?.abort();
  const { signal } = running[id] = new AbortController();
  const timer = setTimeout(() => byId('results').setAttribute('aria-busy', 'true'), 300);
  const text = await ask(path + location.search, id, undefined, signal);
  clearTimeout(timer);
  if (signal.aborted) return;
  byId('results').removeAttribute('aria-busy');
  if (!text) return;
  const page = new DOMParser().parseFromString(text, 'text/html'), part = page.getElementById(id);
  const { activeElement } = document;
  if (byId(id)) byId(id).replaceWith(part);
  else byId('results').after(part);
  for (const el of $$('[hx-swap-oob]', page)) byId(el.id)?.replaceWith(el);
  if (!activeElement.isConnected) focus(linkOf(byId(activeElement.closest('.ev')?.id)));
  return part;
}

// ---- the drawer

let opened = idIn(location.pathname); // the event in it

// Marks the row whose event is in the drawer.
function point() {
  current()?.removeAttribute('aria-current');
  byId(`e${opened}`)?.setAttribute('aria-current', 'true');
}

async function show(path, how = 'pushState', follows = false) {
  if (!byId('results')) return location.assign(path);
  opened = idIn(path);
  if (how) history[how](null, '', path + location.search);
  point();
  const part = await load(path, 'drawer');
  if (!follows) focus(part);
}

// Closes the drawer; the focus goes back to the row that it was about.
function close(how = 'pushState') {
  running.drawer?.abort();
  byId('drawer').remove();
  focus(linkOf(byId(`e${opened}`) ?? current()));
  opened = undefined;
  if (how) history[how](null, '', `/events${location.search}`);
}

on('click', (event) => {
  const { target } = event, link = target.closest('#rows a, #drawer a');
  if (!byId('results') || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (link?.dataset.act === 'close-drawer') {
    event.preventDefault();
    close();
  } else if (link && idIn(link.pathname)) {
    event.preventDefault();
    show(link.pathname);
  } else if (!target.closest('a, button') && getSelection().isCollapsed) linkOf(target.closest('#rows .ev'))?.click();
});

// ---- the filter

const filter = byId('filter');
let timer, shown = location.search;

// Shows what the form says; what chooses nothing is not said. The socket
// follows the address, and so do the links that keep the filter.
async function apply(how) {
  clearTimeout(timer);
  const form = new FormData(filter), wanted = new URLSearchParams(), severities = form.getAll('sev');
  if (severities.length % 4) form.set('sev', severities);
  else form.delete('sev');
  for (const [name, value] of form) if (value) wanted.set(name, value);
  const search = wanted.size ? `?${wanted}` : '';
  if (search === location.search) return;
  shown = search;
  history[how](null, '', location.pathname + search);
  if (!await load('/events', 'results')) return;
  point();
  byId('reset').hidden = !search;
  for (const link of $$('[data-export], .lang')) {
    const to = new URLSearchParams(search);
    if (link.lang) to.set('lang', link.lang);
    link.search = to;
  }
  const old = new URL(holder.getAttribute('ws-connect'), location).searchParams;
  for (const name of ['view', 'lang']) wanted.set(name, old.get(name));
  holder.setAttribute('ws-connect', `/ws?${wanted}`);
  connect();
}

filter?.addEventListener('input', ({ target }) => {
  clearTimeout(timer);
  timer = target.id === 'q' && setTimeout(apply, 200, 'replaceState');
});
filter?.addEventListener('change', ({ target }) => { if (target.id !== 'q') apply('pushState'); });
filter?.addEventListener('submit', (event) => {
  event.preventDefault();
  apply('replaceState');
});

addEventListener('popstate', () => {
  const id = idIn(location.pathname);
  if (!byId('results') || location.search !== shown) return location.reload();
  if (id && id !== opened) show(location.pathname, '', true);
  else if (!id && opened) close('');
});

// ---- acknowledging: nothing changes here, the socket brings the row

on('submit', async (event) => {
  const form = event.target, button = event.submitter, dialog = byId('dlg-name');
  if (!form.matches('#ack, #unack')) return; // its .id is its fields of that name
  event.preventDefault();
  event.stopPropagation();
  const body = new URLSearchParams(new FormData(form, button));
  if (form.dataset.name === '') {
    if (!await asked(dialog)) return;
    form.dataset.name = $('[name=by]', dialog).value;
    body.set('by', form.dataset.name);
    await ask('/name', '', new URLSearchParams({ by: form.dataset.name, next: '/' }));
  }
  hold();
  button.disabled = true;
  if (await ask(form.action, '', body)) reopen();
  else button.disabled = false;
}, true);

// The drawer is in no frame: when its event has changed it is read anew. Focus
// that was in it, and is lost with what had it, is held for it.
let held;
const hold = () => { held ||= drawer()?.contains(document.activeElement); };
async function reopen() {
  hold();
  const part = drawer() && await load(`/events/${opened}`, 'drawer');
  if (!part) return;
  if (held && document.activeElement === document.body) focus(part);
  held = false;
}

// ---- keys

const press = (selector, from) => $(selector, from)?.click();
const here = () => document.activeElement.closest('#rows .ev') ?? current();

function move(by) {
  const rows = $$('#rows .ev'), at = rows.indexOf(here()), row = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  if (!row) return;
  focus(linkOf(row));
  row.scrollIntoView({ block: 'nearest' });
  if (drawer()) show(linkOf(row).pathname, 'replaceState', true);
}

const toggle = (i) => () => $$('#filter [name=sev]')[i]?.click();
const section = (path) => () => press(`.tabs [href="${path}"]`);
const sections = { d: section('/'), e: section('/events'), m: section('/alerts'), a: section('/audit') };
const keys = {
  '/': () => { if (filter) focus(byId('q')); else location.assign('/events#q'); },
  j: () => move(1), k: () => move(-1),
  a: () => press('[form=ack]', drawer() || here() || byId('attn')),
  p: () => press('[data-act=pause]'), '.': () => press('[data-act=merge]'),
  1: toggle(0), 2: toggle(1), 3: toggle(2), 4: toggle(3),
  c: section('/create'), t: acts.theme, '?': () => press('[data-open=dlg-keys]'),
  y: () => { const link = drawer() ? location : linkOf(here()); if (link) copy(link.href); },
  Escape: () => { if (drawer()) close(); else if (filter && location.search) location.assign('/events'); },
};
acts['copy-link'] = keys.y;

const single = byId('keys-on');
if (single) {
  single.checked = localStorage.getItem('keys') !== 'off';
  single.onchange = () => localStorage.setItem('keys', single.checked ? 'on' : 'off');
}

let untilSecond = 0; // when it is too late for the key after g
on('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (key === 'Enter' && (ctrlKey || metaKey)) return target.form?.requestSubmit();
  if (ctrlKey || metaKey || altKey || $('dialog[open]')) return;
  if (target.matches('.input, #q')) {
    if (key !== 'Escape') return;
    event.preventDefault(); // it would empty the field, and leave the list as it is
    return target.blur();
  }
  if (key !== 'Escape' && !(single?.checked ?? true)) return;
  const act = (event.timeStamp < untilSecond && sections[key]) || keys[key];
  untilSecond = key === 'g' ? event.timeStamp + 1000 : 0;
  if (!act) return;
  event.preventDefault();
  act();
});
