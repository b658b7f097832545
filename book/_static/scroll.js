// What is wider than its place scrolls there; who has no mouse and no finger comes to it by the Tab key and moves it with
// the arrows. The theme does that for code and outputs: these are the rest.

(() => {
  const SCROLLS = '.bd-article :is(table, .math, .map, .dalle-explorer)';
  const FOCUSABLE = 'a[href], button, select, input, summary, [tabindex]:not([data-scrolls])';

  function reach(part) {
    const scrolls =
      part.scrollWidth > part.clientWidth && /auto|scroll/.test(getComputedStyle(part).overflowX);
    if (scrolls && !part.querySelector(FOCUSABLE)) {
      part.tabIndex = 0;
      part.dataset.scrolls = '';
    } else if (part.dataset.scrolls !== undefined) {
      part.removeAttribute('tabindex');
      delete part.dataset.scrolls;
    }
  }

  // Also when formulas are set, answers unfolded, and phones turned: all of them change a size.
  addEventListener('DOMContentLoaded', () => {
    const seen = new ResizeObserver((changes) => changes.forEach(({ target }) => reach(target)));
    document.querySelectorAll(SCROLLS).forEach((part) => seen.observe(part));
  });
})();
