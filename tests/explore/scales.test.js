import test from 'node:test';
import assert from 'node:assert/strict';
import { lostOf, raised, summary } from '../../dalle_edu/explore/scales.js';
import { cases, close } from './cases.js';

test('vanishing and overflowing shares are those of Python', () => {
  for (const { scale, vanish, overflow } of cases.cases) {
    const found = cases.shares.map((row) => lostOf(row, cases.first, scale, cases.limits));
    close(
      found.map((b) => b.vanish),
      vanish,
      1e-5,
    );
    close(
      found.map((b) => b.overflow),
      overflow,
      1e-5,
    );
  }
});

test('the sentence names the worst blocks and the mean', () => {
  const words = (share) => 100 * share + ' %';
  const lost = [
    { vanish: 0, overflow: 0.5 },
    { vanish: 0.25, overflow: 0 },
  ];
  const said = summary(lost, words);
  assert.ok(said.includes('25 % of block 2 vanish') && said.includes('50 % of block 1 overflow'));
  assert.ok(said.includes('over all blocks 37.5 % are lost'));
  assert.deepEqual([raised(13), raised(-4)], ['2¹³', '2⁻⁴']);
});
