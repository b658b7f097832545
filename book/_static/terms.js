// A term of the text lights up its part of a figure while a pointer is over it or it has the keyboard's focus.
//
// A text says [the decoder](#part-decoder); of it the site makes <span class="term" data-lights="decoder">. A figure
// gives an element the attribute data-part="decoder". What has the class `lit` is framed (book.css).

// Every element of the figure that is meant: the first one after the term that has such a part, or the last before it.
function partsOf(term) {
  const found = [...document.querySelectorAll('[data-part="' + term.dataset.lights + '"]')];
  const follows = (part) => term.compareDocumentPosition(part) & Node.DOCUMENT_POSITION_FOLLOWING;
  const nearest = found.find(follows) ?? found.at(-1);
  const figureOf = (part) => part.closest('.dalle-explorer, .map');
  return found.filter((part) => figureOf(part) === figureOf(nearest));
}

function connect(term) {
  const reasons = new Set();
  let lit = [];
  const light = () => {
    lit.forEach((part) => part.classList.remove('lit'));
    lit = reasons.size ? partsOf(term) : [];
    lit.forEach((part) => part.classList.add('lit'));
  };
  const show = () => lit[0]?.scrollIntoView({ block: 'nearest', inline: 'center' });
  for (const [begin, end] of [
    ['pointerenter', 'pointerleave'],
    ['focus', 'blur'],
  ]) {
    term.addEventListener(begin, () => {
      reasons.add(begin);
      light();
    });
    term.addEventListener(end, () => {
      reasons.delete(begin);
      light();
    });
  }
  term.addEventListener('focus', show); // after it was lit
  // A finger cannot hover: a tap gives the focus, which brings a part that is out of sight to where it is seen.
  const bring = () => {
    term.focus();
    show();
  };
  term.addEventListener('click', bring);
  term.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      bring();
    }
  });
}

// Without its figure, as in a notebook that was not run again, a term is a word like others.
document.addEventListener('DOMContentLoaded', () => {
  for (const term of document.querySelectorAll('.term')) {
    if (partsOf(term).length) {
      term.tabIndex = 0;
      term.setAttribute('role', 'button');
      term.setAttribute('aria-description', 'shows its part of the figure');
      connect(term);
    }
  }
});
