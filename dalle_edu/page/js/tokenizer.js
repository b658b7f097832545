// Text to tokens (chapter 6): the same as `dalle_edu.tokens.CaptionTokenizer`, byte pair encoding included.

// What Python's `str.split` takes for white space; JavaScript's own \s is another list.
const SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SPACES = new RegExp('[' + SPACE + ']+', 'u');
const SPACE_ENDS = new RegExp('^[' + SPACE + ']+|[' + SPACE + ']+$', 'gu');
// GPT-2's rule: a word with the space before it, a number, a run of signs.
const WORD = /'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

// Each stretch of white space as one space, none at the ends.
export function oneLine(text) {
  return text.split(SPACES).filter(Boolean).join(' ');
}

// NFKC, then small letters, one by one: a word's last sigma is a sigma as any other.
export function normal(text) {
  const small = Array.from(text.normalize('NFKC'), (letter) => letter.toLowerCase()).join('');
  return small.replace(SPACE_ENDS, '');
}

// The words of a text, in small letters; signs are none.
export function wordsOf(text) {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) || []
  );
}

// GPT-2 writes each byte as one character: itself, or 256, 257, ... if it cannot be printed.
const CHARACTERS = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

export class Tokenizer {
  // `pieces`: the word pieces in the order of their numbers; `merges`: pairs of pieces, first to last.
  constructor({ pieces, merges }) {
    this.pieces = pieces;
    this.number = new Map(pieces.map((piece, number) => [piece, number]));
    this.rank = new Map(merges.map((pair, rank) => [pair.join(' '), rank]));
  }

  // The numbers of a text's word pieces.
  encode(text) {
    const small = normal(oneLine(text));
    const words = (small.startsWith(' ') ? small : ' ' + small).match(WORD) || [];
    return words.flatMap((word) => this.spell(word)).map((piece) => this.number.get(piece));
  }

  // One word as pieces: of the pairs that stand side by side the earliest merge, again and again, until none fits.
  spell(word) {
    let parts = Array.from(new TextEncoder().encode(word), (byte) => CHARACTERS[byte]);
    for (;;) {
      const ranks = parts.map((part, i) => this.rank.get(part + ' ' + parts[i + 1]) ?? Infinity);
      const best = ranks.indexOf(Math.min(...ranks));
      if (ranks[best] === Infinity) {
        return parts;
      }
      parts = [...parts.slice(0, best), parts[best] + parts[best + 1], ...parts.slice(best + 2)];
    }
  }

  // What a reader would write for a piece; part of a character stays as it is.
  written(number) {
    const bytes = Array.from(this.pieces[number], (letter) => CHARACTERS.indexOf(letter));
    const text = new TextDecoder().decode(Uint8Array.from(bytes));
    return text.includes('\ufffd') ? this.pieces[number] : text.trim();
  }

  // (text_length) numbers: those of the text, then a padding token a place. Says what is wrong with a text that does
  // not fit.
  padded(text, length, padding) {
    const numbers = this.encode(text);
    if (!numbers.length || !oneLine(text)) {
      throw new Error(
        'The text is empty: write what the picture should show, “a red apple” for one.',
      );
    }
    if (numbers.length > length) {
      throw new Error(
        'The text has ' + numbers.length + ' tokens, at most ' + length + ' fit: shorten it.',
      );
    }
    return Array.from({ length }, (_, i) => (i < numbers.length ? numbers[i] : padding + i));
  }
}

// How many pairs of neighbouring letters two words share, from 0 to 1 (Dice 1945).
function alike(one, other) {
  const pairs = (word) => Array.from(word, (letter, i) => letter + (word[i + 1] || ''));
  const [a, b] = [pairs(' ' + one), pairs(' ' + other)];
  return (2 * a.filter((pair) => b.includes(pair)).length) / (a.length + b.length);
}

// What to tell whoever asks for `prompt`, '' where training showed every word. `known`: each word with a caption that
// holds it, or null where a model kept none.
export function unknownWords(prompt, known) {
  const unknown = known
    ? [...new Set(wordsOf(prompt))].filter((word) => !Object.hasOwn(known, word))
    : [];
  if (!unknown.length) {
    return '';
  }
  const longest = unknown.toSorted((a, b) => b.length - a.length)[0];
  const near = Object.keys(known).toSorted((a, b) => alike(longest, b) - alike(longest, a));
  const captions = [...new Set(near.slice(0, 3).map((word) => known[word]))];
  const quoted = (words) => words.map((word) => '“' + word + '”').join(', ');
  const plural = unknown.length > 1 ? 's ' : ' ';
  return (
    'Training never showed the word' +
    plural +
    quoted(unknown) +
    '; near to it: ' +
    quoted(captions) +
    '.'
  );
}
