/* Small tools that most explorers need; `box` is the explorer's element. */
var kit = {
  later: [],
  colours: COLOURS,
  /* A new HTML or SVG element inside `parent`. */
  el: function (tag, attributes, parent, text) {
    var svg = /^(svg|g|rect|circle|line|path|text|polyline|polygon|image|title)$/.test(tag);
    var e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
    for (var k in attributes || {}) e.setAttribute(k, attributes[k]);
    if (text != null) e.textContent = text;
    if (parent) parent.appendChild(e);
    return e;
  },
  /* o: {label, min, max, step, value, format, change}; arrow keys move it. */
  slider: function (parent, o) {
    var label = kit.el('label', {}, parent);
    kit.el('span', {}, label, o.label);
    var input = kit.el('input', {type: 'range', min: o.min, max: o.max, step: o.step || 1}, label);
    var shown = kit.el('output', {}, label);
    input.value = o.value;
    function go() {
      var v = +input.value, t = o.format ? o.format(v) : String(v);
      shown.textContent = t;
      input.setAttribute('aria-valuetext', t);
      o.change(v);
    }
    input.addEventListener('input', go);
    kit.later.push(go);
    return input;
  },
  /* o: {label, options, value, change}; value and what change gets are the index of an option. */
  choice: function (parent, o) {
    var label = kit.el('label', {}, parent);
    kit.el('span', {}, label, o.label);
    var select = kit.el('select', {}, label);
    o.options.forEach(function (t, i) { kit.el('option', {value: i}, select, t); });
    select.value = o.value || 0;
    function go() { o.change(+select.value); }
    select.addEventListener('change', go);
    kit.later.push(go);
    return select;
  },
  /* The page's colours now, for what is drawn on a canvas. */
  theme: function () {
    var style = getComputedStyle(box), colours = {};
    ['ink', 'paper', 'soft', 'line', 'accent'].forEach(function (name) {
      colours[name] = style.getPropertyValue('--' + name).trim();
    });
    return colours;
  },
  onTheme: function (redraw) {
    var watch = new MutationObserver(redraw);
    [document.documentElement, document.body].forEach(function (e) { watch.observe(e, {attributes: true}); });
  }
};
