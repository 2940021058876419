// panel.js: what every page can do: the theme, the zone, toasts, sounds,
// summaries for screen readers, ages, copying, dialogs and forms. Every page
// reads and posts without it.

const setCookie = (name, value) => { document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${location.protocol === 'https:' ? '; Secure' : ''}`; };

// Times are rendered in the reader's zone. It is told once, by a reload; a
// server that does not know it is not asked again.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone, has = (cookie) => document.cookie.includes(cookie);
if (zone !== root.dataset.zone && !has(`zone=${zone}`) && !has('tz=utc')) {
  setCookie('zone', zone);
  location.reload();
}

// The theme is a cookie, so that the server renders the page in it.
acts.theme = () => {
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  setCookie('theme', root.dataset.theme);
};

// ---- toasts

const toasts = byId('toasts'), words = toasts?.dataset ?? {}, most = 3 /* as style shows */, stay = 6000, stayToUndo = 10000, tick = 500;

// Shows a copy of the server's template for this tone. It is read out once, as
// soon as that may be.
function toast({ tone, text, undo }) {
  const item = byId(`toast-${tone}`)?.content.firstElementChild.cloneNode(true);
  if (!item || !text) return;
  const button = $('[data-act=undo]', item);
  write($('strong', item), text);
  if (undo) button.dataset.undo = undo;
  else button.remove();
  toasts.append(item);
  crowd();
  const say = () => summary(text, tone === 'error') || setTimeout(say, tick);
  say();
}
on('toast', ({ detail }) => toast(detail));

// Style shows the newest ones, and how many more there are.
function crowd() {
  const more = $$('.toast', toasts).length - most;
  if (more > 0) toasts.dataset.over = words.more.replace('%', more);
  else delete toasts.dataset.over;
}

setInterval(() => {
  if (!toasts || document.hidden || toasts.matches(':is(:hover, :focus-within)')) return;
  for (const item of $$('.toast:is([data-tone=success], [data-tone=info])', toasts)) {
    item.left = (item.left ?? ($('[data-undo]', item) ? stayToUndo : stay)) - tick;
    if (item.left <= 0) dismiss(item);
  }
}, tick);

function dismiss(el) {
  el.closest('.toast').remove();
  crowd();
}
acts.dismiss = dismiss;
acts.undo = async (button) => {
  dismiss(button);
  if (await ask('/events/unack', '', new URLSearchParams(button.dataset.undo))) reopen();
};

// ---- asking the server

// Fetches as htmx does, and shows the toast that the answer brings. Without
// an answer, or with an error that says nothing of itself, there is one too.
// Gives the part of the page that target is, or whether it was done.
async function ask(url, target, body, signal) {
  try {
    const answer = await fetch(url, { method: body ? 'POST' : 'GET', headers: { 'HX-Request': 'true', 'HX-Target': target }, body, signal });
    const told = JSON.parse(answer.headers.get('HX-Trigger') ?? '{}').toast;
    if (told) toast(told);
    else if (!answer.ok) unreachable();
    return answer.ok && (body ? true : await answer.text());
  } catch (problem) {
    if (problem.name !== 'AbortError') unreachable();
  }
}

const unreachable = () => toast({ tone: 'error', text: words.unreachable });

// A form that could not reach the hub says so where it tells its problems.
on('htmx:sendError', () => {
  const trouble = byId('trouble'), problem = document.createElement('p');
  problem.className = 'err';
  write(problem, trouble?.dataset.unreachable);
  if (trouble) trouble.replaceChildren(problem);
  else unreachable();
});

// ---- what is read out: a summary at most once in 15 s, an alert in 10 s

const saidAt = {};
function summary(text, now) {
  const id = now ? 'say-now' : 'say', at = Date.now();
  if (!text || at - saidAt[id] < (now ? 10000 : 15000)) return false;
  saidAt[id] = at;
  write(byId(id), text);
  return true;
}

let unread = 0; // rows that came since the last summary
const arrived = () => { unread++; };

// ---- the bell

let audio, tone, rangAt, before = 0;
const unacked = () => Number(byId('n-crit')?.dataset.n ?? 0);

// Only a press may make sound. Reloading is silent.
acts.sound = (button) => {
  audio?.close();
  audio = audio ? undefined : new AudioContext();
  button.setAttribute('aria-pressed', !!audio);
  if (audio) window.Notification?.requestPermission();
};

function ring() {
  const gain = audio.createGain();
  tone = audio.createOscillator();
  tone.frequency.value = 880;
  gain.gain.value = 0.2;
  tone.connect(gain).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 1);
}

// Criticals have arrived: their ids, and the newest one in words.
function flash({ crit, text }) {
  if (!crit) return;
  summary(text, true);
  if (!audio) return;
  if (!(Date.now() - rangAt < 30000)) {
    rangAt = Date.now();
    ring();
  }
  if (window.Notification?.permission !== 'granted') return;
  const tag = crit.split(',')[0];
  new Notification(text, { tag }).onclick = () => {
    window.focus();
    show(`/events/${tag}`);
  };
}

const back = (n) => toast({ tone: 'info', text: words.back?.replace('%', number(n)) });

// ---- after each frame, and as time passes

let ahead = 0; // of this clock over the server's, in ms
function heardOf() {
  const { at } = byId('beat')?.dataset ?? {}, critical = unacked();
  if (at) ahead = Date.now() - Date.parse(at);
  if (critical < before) tone?.stop(); // somebody has seen to it
  before = critical;
  if (unread && summary(byId('say').dataset.text.replace('%', number(unread)))) unread = 0;
}

setInterval(() => {
  for (const el of $$('.age[data-at]')) {
    const s = Math.max(0, (Date.now() - ahead - Date.parse(el.dataset.at)) / 1000);
    const [n, unit] = s < 60 ? [s, 's'] : s < 3600 ? [s / 60, 'min'] : s < 86400 ? [s / 3600, 'h'] : [s / 86400, 'd'];
    write(el, `${Math.floor(n)} ${unit}`);
  }
}, 5000);

// ---- what buttons do

// The clipboard's own interface is not there on plain http.
function copy(text) {
  const area = document.createElement('textarea'), before = document.activeElement;
  area.className = 'vh';
  area.value = text;
  document.body.append(area);
  focus(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  focus(before);
  toast({ tone: 'success', text: words.copied });
}
acts.copy = (button) => copy($('code', button.parentElement).textContent);

on('click', ({ target }) => {
  for (const menu of $$('.menu[open]')) if (!menu.contains(target)) menu.open = false;
  const button = target.closest('[data-act]'), opener = target.closest('[data-open]');
  acts[button?.dataset.act]?.(button);
  if (opener) byId(opener.dataset.open).showModal();
});

// Shows a dialog; the promise is kept when it is closed. A closing is told
// late: when the dialog is open again, it was that of an earlier question.
const asked = (dialog) => new Promise((resolve) => {
  dialog.returnValue = '';
  dialog.onclose = () => dialog.open || resolve(dialog.returnValue === 'ok');
  dialog.showModal();
});

// ---- forms

// Counts characters as the hub does: by code point, a line end is one. Shows
// what the event will look like, and what becomes of it.
function typed({ target }) {
  const { count, max } = target.dataset, fields = byId('create-form')?.elements;
  if (count) {
    const length = [...target.value].length, output = byId(count);
    output.value = `${length} / ${max}`;
    output.toggleAttribute('data-over', length > max);
  }
  if (!fields) return;
  for (const el of $$('[data-preview]')) write(el, fields[el.dataset.preview].value.trim() || el.dataset.empty);
  for (const el of $$('[data-if]')) el.hidden = !el.dataset.if.includes(fields.severity.value);
}
on('input', typed);
on('htmx:afterSettle', typed);

// A file to import is named, with its size, before it is sent.
on('submit', async (event) => {
  const form = event.target, input = $('[type=file]', form), file = input?.files[0];
  if (!file) return;
  event.preventDefault();
  if (file.size > input.dataset.max) return toast({ tone: 'error', text: input.dataset.tooLarge });
  write(byId('dlg-confirm-h'), input.dataset.confirm);
  write(byId('dlg-confirm-p'), `${file.name}, ${number(file.size / 1000)} kB`);
  if (await asked(byId('dlg-confirm'))) form.submit();
});
