// panel.js: progressive enhancement. Every page reads and posts without it.
(() => {
  'use strict';
  const root = document.documentElement;

  // The theme is a cookie, so that the server renders the page in it.
  const isDark = () => (root.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  document.getElementById('theme').addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    document.cookie = `theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
  });

  // Counts characters as the hub does: by code point, a line end is one.
  document.addEventListener('input', (event) => {
    const { count, max } = event.target.dataset;
    if (!count) return;
    const length = [...event.target.value].length;
    const output = document.getElementById(count);
    output.value = `${length} / ${max}`;
    output.toggleAttribute('data-over', length > max);
  });

  // Live rows come and go: older ones are those below the last row shown now.
  for (const type of ['click', 'auxclick', 'contextmenu']) {
    document.addEventListener(type, (event) => {
      const link = event.target.closest('[data-older]');
      const last = [...document.querySelectorAll('#rows > .ev, #alert-rows > .rec')].at(-1);
      if (link && last) link.href = `${link.dataset.older}?before=${last.id.slice(3)}`;
    }, true);
  }

  // The hub could not be reached: say so where the form tells its problems.
  document.addEventListener('htmx:sendError', () => {
    const trouble = document.getElementById('trouble');
    const problem = document.createElement('p');
    problem.className = 'err';
    problem.textContent = trouble.dataset.unreachable;
    trouble.replaceChildren(problem);
  });
})();
