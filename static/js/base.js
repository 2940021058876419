// base.js: what the other scripts share. They are served as one function, so
// that names here are theirs too and nobody else's.
const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const $ = (selector, from = document) => from?.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const on = (type, listener, first) => document.addEventListener(type, listener, first);
const number = (n) => (n < 10 ? n : Math.round(n)).toLocaleString(root.lang, { useGrouping: 'always' });

// Words come from the server, in patterns: % stands for the value, # for a second one.
const write = (el, text) => { if (el && el.textContent !== text) el.textContent = text; };
const fill = (el, value, second) => write(el, el?.dataset.text.replace('%', value).replace('#', second));

// What a button does, by its data-act.
const acts = {};
// Opens the page's socket anew, at the address that its element tells now.
let connect = () => {};

// Focus moves without the page moving.
const focus = (el) => el?.focus({ preventScroll: true });
