// What Python wrote for this run of the tests.
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';

export const cases = JSON.parse(readFileSync(process.env.CASES, 'utf-8'));

export function close(found, wanted, tolerance = 1e-6) {
  assert.equal(found.length, wanted.length);
  for (const [i, value] of [...found].entries()) {
    const off = Math.abs(value - wanted[i]);
    assert.ok(off <= tolerance, `entry ${i}: ${value}, but Python has ${wanted[i]}`);
  }
}
